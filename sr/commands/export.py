"""`python -m sr export`: a network as a file for other programs."""

import argparse
from pathlib import Path

from sr.export_formats import FORMATS
from sr.methods import METHODS

HELP = "write a network as ONNX, OpenVINO IR or torch.export"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    suffixes = ", ".join(f"{kind.suffixes[0]} for {name}" for name, kind in FORMATS.items())
    parser.add_argument("--method", choices=METHODS, default="srgan", help="default: srgan")
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="weights (.safetensors, model card beside it) of your own training"
    )
    parser.add_argument("--format", choices=FORMATS, required=True, help="what to write")
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, required=True, help=f"file to write, its name ending in {suffixes}"
    )


def run(args: argparse.Namespace) -> int:
    # Torch takes seconds to import, which printing a help text need not.
    from sr.export import SHAPES, export

    exported = export(args.method, args.format, args.output, weights=args.weights)
    files = " and ".join(map(str, exported.files))
    size = sum(file.stat().st_size for file in exported.files) / 1e6
    sizes = ", ".join(f"{batch} of {width}x{height}" for batch, _, height, width in SHAPES)
    difference = f"differs from torch by at most {exported.difference:.1e} on [0, 1]"
    print(f"wrote {files}: {size:.1f} MB, {exported.opset}; {difference}, checked with pictures ({sizes})")
    return 0
