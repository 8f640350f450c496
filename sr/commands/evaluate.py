"""`python -m sr evaluate`: methods on benchmark sets, as a table, as JSON and as a report."""

import argparse
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sr.errors import SRError
from sr.files import sha256
from sr.methods import METHODS, WEIGHTS, is_trained
from sr.protocols import PROTOCOLS

if TYPE_CHECKING:
    from sr.benchmark import BenchmarkSet
    from sr.measures import VGGDistance
    from sr.sources import Source

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
        help=f"out of: {', '.join(METHODS)}, hr; or pictures made elsewhere: NAME=folder:PATH, with them in "
        "PATH/SET/IMAGE.png, or {set} and {name} in PATH, as in selfexsr=folder:out/{set}/{name}_SelfExSR.png "
        "(default: bicubic srresnet srgan)",
    )
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default="paper",
        help="paper: BT.709 luma, daala's SSIM. standard: BT.601 luma, Wang's SSIM (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every image's figures to FILE as well")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="write tables of both protocols beside the paper's (Markdown, CSV, JSON), figures, contact sheets to DIR",
    )
    parser.add_argument(
        "--crops",
        nargs="+",
        default=[],
        metavar="IMAGE[:X,Y,W,H]",
        help="for the report's figure: HR images and the crop to show of each (default: one image of each set)",
    )
    parser.add_argument(
        "--update-cards",
        action="store_true",
        help="write the report's means into the model cards of the shipped weights",
    )
    parser.add_argument(
        "--unusable",
        choices=("refuse", "skip"),
        default="refuse",
        help="images without LR, HR or a method's picture, damaged ones and those of a wrong size: stop, or leave them "
        "out for all methods; either way they are named (default: %(default)s)",
    )
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
    from sr.evaluate import format_table, measure, open_sets, open_sources, write_json
    from sr.inference import resolve_device
    from sr.losses import VGGLoss
    from sr.measures import VGGDistance

    _check_arguments(args)
    weights = dict(args.weights)
    # A report has a row for them; elsewhere they are errors like any other.
    untrained = [name for name in args.methods if args.report and name in METHODS and name not in weights]
    untrained = [name for name in untrained if not is_trained(name)]
    methods = [name for name in args.methods if name not in untrained]
    device = str(resolve_device(args.device))
    sources = open_sources(methods, device, weights)
    sets = open_sets(args.benchmark, args.sets, sources, skip_unusable=args.unusable == "skip")
    for line in (line for images in sets for line in images.skipped):
        print(f"left out: {line}", file=sys.stderr)
    vgg = VGGDistance(VGGLoss("vgg54", args.vgg).to(device)) if args.vgg else None
    provenance = _provenance(methods, weights, device)
    if vgg is not None:
        provenance["vgg54"] = {"network": vgg.network, "sha256": sha256(args.vgg)}
    if args.report:
        return _report(args, sets, sources, vgg, untrained, provenance)
    results = measure(sets, sources, protocols=[args.protocol], measures=[vgg] if vgg else [], progress=True)[
        args.protocol
    ]
    print(format_table(results, args.protocol))
    if args.json:
        write_json(args.json, {"protocol": args.protocol, "results": results, **provenance})
    return 0


def _report(
    args: argparse.Namespace,
    sets: "list[BenchmarkSet]",
    sources: "list[Source]",
    vgg: "VGGDistance | None",
    untrained: list[str],
    provenance: dict[str, Any],
) -> int:
    from sr.figure import split_crop
    from sr.report.cards import update_cards
    from sr.report.make import make_report
    from sr.report.tables import as_markdown

    crops = [split_crop(text) for text in args.crops]
    contents = make_report(args.report, sets, sources, vgg, crops, untrained, provenance)
    if args.update_cards:
        update_cards(contents.results, [name for name in contents.titles if name not in dict(args.weights)])
    for name, table in as_markdown(contents).items():
        print(f"{name}\n{table}\n")
    print(args.report / "report.md")
    return 0


def _check_arguments(args: argparse.Namespace) -> None:
    if args.report is None:
        for option, given in (("--crops", args.crops), ("--update-cards", args.update_cards)):
            if given:
                raise SRError(f"{option} is of no use without a report; give --report as well")
    elif args.json:
        raise SRError("--report writes the JSON of both protocols itself; leave out --json")
    else:
        _check_writable("--report", args.report / "report.md")
    if args.json:
        _check_writable("--json", args.json)


def _check_writable(option: str, file: Path) -> None:
    """Finds out before hours of computing what would otherwise show after them."""
    if file.is_dir():
        raise SRError(f"{option} {file} is a folder; name a file")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SRError(f"{option} {file} cannot be written: {error.strerror}") from error
    if not os.access(file.parent, os.W_OK):
        raise SRError(f"{option} {file} cannot be written: {file.parent} is read-only")


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
            method: {"file": file.name, "sha256": sha256(file)} for method, file in files.items() if file.is_file()
        },
        "precision": "fp32",
        "device": hardware(torch.device(device)),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            **{package: version(package) for package in packages},
        },
    }
