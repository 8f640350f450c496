"""Write a network as a file for other programs: ONNX, OpenVINO IR or torch.export, checked before it is there."""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

import sr
from sr.errors import SRError
from sr.export_formats import FORMATS, Format, Run, check_packages
from sr.exportable import Enlarger, trace
from sr.files import sha256
from sr.inference import load_network
from sr.methods import METHODS, WEIGHTS, load

TOLERANCE = 1e-4
"""How far the file's result may be from torch's, of values in [0, 1]; one of 255 levels is 0.004."""

SHAPES = ((1, 3, 24, 24), (2, 3, 18, 13), (1, 3, 1, 3))
"""What the file is checked with; the graph is made with another."""


class Exported(NamedTuple):
    """files: what was written. opset: its operators. difference: the largest from torch's result in [0, 1]."""

    files: list[Path]
    opset: str
    difference: float


def export(method: str, format: str, target: Path, *, weights: Path | None = None) -> Exported:
    """Write a method's network in fp32, for any batch, height and width.

    The file maps `lr`, RGB float32 (N, 3, H, W) in [0, 1], to `sr`, RGB float32 (N, 3, scale*H, scale*W) in [0, 1],
    clipped; the whole picture at once, so that memory grows with its size. `metadata` is in it: in ONNX as
    metadata_props, in OpenVINO as rt_info under "sr", in torch.export as the extra file metadata.json.

    method: out of `sr.methods.METHODS`, but no filter. format: out of `sr.export_formats.FORMATS`.
    target: a file name with the format's suffix, in a folder that exists; OpenVINO writes a .bin beside the .xml.
    weights: as for `sr.load`.

    The file is loaded again by what is to run it, ONNX Runtime, OpenVINO or torch, and compared with the network in
    pictures of `SHAPES` before it gets its name: one that is there works.
    Raises SRError for what `sr.load` refuses, a filter, another suffix, a folder or package that is missing, a file
    that cannot be written, and a result that differs by more than `TOLERANCE`.
    """
    kind = _check(format, target)
    # It says what is wrong with the method or its weights.
    load(method, device="cpu", precision="fp32", weights=weights)
    file = Path(weights or WEIGHTS / f"{method}.safetensors")
    if not file.is_file():
        raise SRError(f"{method} is a fixed filter, it has no network to export; use another method, such as srgan")
    check_packages(format)
    net = load_network(file)
    try:
        with TemporaryDirectory(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent) as folder:
            temporary = Path(folder) / target.name
            kind.write(trace(net), temporary, metadata(method, net, file, kind, shipped=weights is None))
            difference = _difference(kind.load(temporary), net)
            if not difference <= TOLERANCE:  # `difference > TOLERANCE` would let NaN pass
                found = f"differs from torch's by {difference:.1g}, more than {TOLERANCE}"
                raise SRError(f"{target} was not written: what the {format} file computes {found}")
            return Exported(_rename(kind, temporary, target), kind.opset, difference)
    except OSError as error:
        raise SRError(f"{target} cannot be written: {error.strerror or error}") from error


def _check(format: str, target: Path) -> Format:
    if format not in FORMATS:
        raise SRError(f"unknown format {format!r}; use one of {', '.join(FORMATS)}")
    kind = FORMATS[format]
    if target.suffix != kind.suffixes[0]:
        raise SRError(f"{target} does not end in {kind.suffixes[0]}, as {format} files do; choose another OUT")
    if target.is_dir():
        raise SRError(f"{target} is a folder; name a file")
    if not target.parent.is_dir():
        raise SRError(f"{target} cannot be written: there is no folder {target.parent}; create it first")
    return kind


def metadata(method: str, net: nn.Module, weights: Path, kind: Format, *, shipped: bool) -> dict[str, str]:
    """What a file says about itself; `card` is the weights' model card as JSON."""
    card = json.loads(weights.with_suffix(".json").read_bytes())
    licence = "MIT; the card says what the weights were trained on"
    return {
        "method": method,
        "title": METHODS[method].title,
        "scale": str(net.scale),
        "input": "lr: float32 (N, 3, H, W), RGB in [0, 1]",
        "output": f"sr: float32 (N, 3, {net.scale}*H, {net.scale}*W), RGB in [0, 1], clipped",
        "colour_space": "sRGB, gamma-encoded as in image files",
        "precision": "fp32",
        "licence": licence if shipped else "the weights' own, which this project does not know",
        "weights_sha256": sha256(weights),
        "sr_version": sr.__version__,
        "torch_version": torch.__version__,
        "opset": kind.opset,
        "card": json.dumps(card),
    }


@torch.inference_mode()
def _difference(run: Run, net: nn.Module) -> float:
    """The largest one between the file's results and the network's, itself neither traced nor changed for it."""
    expected = Enlarger(net)
    generator = torch.Generator().manual_seed(0)
    differences = []
    for shape in SHAPES:
        lr = torch.rand(shape, generator=generator)
        wanted, result = expected(lr).numpy(), run(lr.numpy())
        if result.shape != wanted.shape or result.dtype != wanted.dtype:
            return float("inf")
        differences.append(np.abs(result - wanted).max())
    return float(np.max(differences))


def _rename(kind: Format, temporary: Path, target: Path) -> list[Path]:
    """The first file last: whoever finds it finds the others."""
    files = [target.with_suffix(suffix) for suffix in kind.suffixes]
    for file in reversed(files):
        written = temporary.with_suffix(file.suffix)
        with open(written, "rb+") as opened:
            os.fsync(opened.fileno())
        os.replace(written, file)
    return files
