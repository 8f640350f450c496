"""What int8 needs beside a network's weights: the ranges of its layers' inputs, and what they cost in quality."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sr.errors import SRError
from sr.files import sha256, write_text

MAX_LOSS = 0.03
"""dB of PSNR that int8 may lose for `auto` to take it."""


@dataclass(frozen=True)
class Int8:
    """weights_sha256: of the weights file for which this holds.
    ranges: convolution -> smallest and largest value of its input, which 256 levels share; the others stay in fp32.
    offset: R, G and B in levels of 255, added to the picture so that its mean colour is that of fp32.
    psnr_lost: dB, by the name of the images it was measured on. calibration: where the ranges come from.
    """

    weights_sha256: str
    ranges: dict[str, tuple[float, float]]
    offset: tuple[float, float, float]
    psnr_lost: dict[str, float]
    calibration: str

    @property
    def is_good(self) -> bool:
        return max(self.psnr_lost.values()) <= MAX_LOSS


def path_beside(weights: Path) -> Path:
    return weights.with_suffix(".int8.json")


def read(weights: Path) -> Int8:
    """The settings beside `weights`. Raises SRError when there are none, or none for these weights."""
    path = path_beside(weights)
    remedy = f"make them with `python -m sr quantize --weights {weights} --data DIR`"
    if not path.is_file():
        raise SRError(f"{weights} has no settings for int8 ({path.name}); {remedy}")
    try:
        settings = Int8(**json.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise SRError(f"{path} holds no settings for int8: {error}; {remedy}") from error
    if settings.weights_sha256 != sha256(weights):
        raise SRError(f"{path} was made for other weights than {weights.name} holds now; {remedy}")
    return settings


def write(settings: Int8, weights: Path) -> Path:
    path = path_beside(weights)
    text = json.dumps(asdict(settings), indent=1) + "\n"
    write_text(path, text)
    return path
