"""`python -m sr evaluate`: methods on benchmark sets, as a table and as JSON."""

import argparse
import hashlib
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sr.errors import SRError
from sr.methods import METHODS, WEIGHTS
from sr.metrics import PROTOCOLS

HELP = "measure methods on benchmark sets: PSNR and SSIM on luma"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--benchmark", type=Path, required=True, metavar="DIR", help="folder with SET/HR/*.png and SET/LRx4/*.png"
    )
    parser.add_argument(
        "--sets",
        nargs="+",
        default=["Set5", "Set14", "BSD100"],
        metavar="SET",
        help="folders of DIR (default: Set5 Set14 BSD100)",
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        default=["bicubic", "srresnet", "srgan"],
        metavar="METHOD",
        help=f"out of: {', '.join(METHODS)} (default: bicubic srresnet srgan)",
    )
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default="paper",
        help="paper: BT.709 luma, daala's SSIM. standard: BT.601 luma, Wang's SSIM (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every image's figures to FILE as well")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: %(default)s)")
    parser.add_argument(
        "--vgg",
        type=Path,
        metavar="FILE",
        help="VGG16 or VGG19 in torchvision's layout: adds the distance of VGG54 features (lower is better)",
    )
    parser.add_argument(
        "--weights",
        nargs="+",
        default=[],
        type=_method_and_file,
        metavar="METHOD=FILE",
        help="weights (.safetensors, model card beside it) to measure instead of the shipped ones",
    )


def _method_and_file(text: str) -> tuple[str, Path]:
    method, separator, file = text.partition("=")
    if not (method and separator and file):
        raise argparse.ArgumentTypeError(f"expected METHOD=FILE, got {text!r}")
    return method, Path(file)


def run(args: argparse.Namespace) -> int:
    # Torch takes seconds to import, which printing a help text need not.
    from sr.evaluate import evaluate, format_table, write_json
    from sr.inference import resolve_device
    from sr.losses import VGGLoss

    if args.json:
        _check_writable(args.json)
    device = str(resolve_device(args.device))
    vgg54 = VGGLoss("vgg54", args.vgg).to(device) if args.vgg else None
    weights = dict(args.weights)
    results = evaluate(
        args.benchmark,
        args.sets,
        args.methods,
        protocols=[args.protocol],
        device=device,
        weights=weights,
        vgg54=vgg54,
        progress=True,
    )[args.protocol]
    print(format_table(results, args.protocol))
    if args.json:
        document = {"protocol": args.protocol, "results": results, **_provenance(args.methods, weights, device)}
        if vgg54 is not None:
            document["vgg54"] = {"network": vgg54.description, "sha256": _sha256(args.vgg)}
        write_json(args.json, document)
    return 0


def _check_writable(file: Path) -> None:
    """Finds out before hours of computing what would otherwise show after them."""
    if file.is_dir():
        raise SRError(f"--json {file} is a folder; name a file")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SRError(f"--json {file} cannot be written: {error.strerror}") from error
    if not os.access(file.parent, os.W_OK):
        raise SRError(f"--json {file} cannot be written: {file.parent} is read-only")


def _provenance(methods: list[str], weights: dict[str, Path], device: str) -> dict[str, Any]:
    """What someone needs to get the same figures again."""
    import torch

    from sr.card import command_line
    from sr.checkpoint import hardware

    files = {method: weights.get(method, WEIGHTS / f"{method}.safetensors") for method in methods}
    packages = ("numpy", "scipy", "scikit-image", "pillow")
    return {
        "command": command_line(),
        "weights": {
            method: {"file": file.name, "sha256": _sha256(file)} for method, file in files.items() if file.is_file()
        },
        "precision": "fp32",
        "device": hardware(torch.device(device)),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            **{package: version(package) for package in packages},
        },
    }


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
