"""PSNR and SSIM of the methods, as `python -m sr evaluate --json` wrote them."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mos_study.config import HR
from sr.errors import SRError

COLUMNS = ("dataset", "method", "image", "psnr", "ssim")


def read_objective(files: Sequence[Path]) -> pd.DataFrame:
    """The figures in files of `sr evaluate --json`, together.

    Returns:
        dataset, method, image, psnr (dB), ssim: a row per image, and one with the image "" that is the set's mean;
        none for the originals.

    Raises:
        SRError: a file that is none of these, files of different protocols, or a method measured in two of them.
    """
    rows, protocols, origin = [], {}, {}
    for file in files:
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            protocols.setdefault(str(document["protocol"]), file)
            if len(protocols) > 1:
                raise SRError(
                    f"{' and '.join(map(str, protocols.values()))} are of different protocols"
                    f" ({', '.join(protocols)}), whose figures cannot be compared: give files of one"
                )
            for dataset, methods in document["results"].items():
                for method, means in methods.items():
                    if method == HR:  # the originals have no error to measure
                        continue
                    other = origin.setdefault((dataset, method), file)
                    if other is not file:
                        raise SRError(f"{other} and {file} both measure {method} on {dataset}: give one of them")
                    rows.append((dataset, method, "", float(means["psnr"]), float(means["ssim"])))
                    for image, figures in means.get("images", {}).items():
                        rows.append((dataset, method, image, float(figures["psnr"]), float(figures["ssim"])))
        except OSError as error:
            raise SRError(f"{file} cannot be read ({error.strerror}): check --objective") from error
        except SRError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SRError(f"{file} is not a result of python -m sr evaluate --json: check --objective") from error
    return pd.DataFrame(rows, columns=list(COLUMNS))
