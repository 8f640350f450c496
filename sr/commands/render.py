"""`python -m sr render`: pictures of text and drawings, to train on beside photographs."""

import argparse
from pathlib import Path

from sr.errors import SRError

HELP = "write pictures of text, charts and drawings to train on beside photographs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--count", type=int, default=240, metavar="N", help="pictures (default: %(default)d)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the first picture (default: %(default)d)")
    parser.add_argument(
        "--fonts", type=Path, metavar="DIR", help="use the .ttf and .otf fonts under DIR (default: DejaVu and STIX)"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the PNG files")


def run(args: argparse.Namespace) -> int:
    from PIL import Image
    from tqdm import trange

    from sr.images import write_png
    from sr.rendering import find_fonts, render

    if args.count < 1:
        raise SRError(f"--count must be at least 1, got {args.count}")
    if args.seed < 0:
        raise SRError(f"--seed must be 0 or more, got {args.seed}")
    fonts = find_fonts(args.fonts) if args.fonts else []
    for seed in trange(args.seed, args.seed + args.count, unit="picture", desc="rendering"):
        write_png(Image.fromarray(render(seed, fonts)), args.output / f"rendered_{seed:05d}.png")
    return 0
