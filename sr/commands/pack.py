"""`python -m sr pack`: training images decoded once, for trainings that would otherwise wait for the decoding."""

import argparse
from pathlib import Path

HELP = "decode training images once into a pack, which train.py reads in place of their folders"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="folders of images, searched recursively")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PACK", help="the pack, a folder")
    parser.add_argument("--max-side", type=int, metavar="N", help="crop longer sides to N pixels around the centre")
    parser.add_argument("--workers", type=int, metavar="N", help="processes that decode (default: one a core)")


def run(args: argparse.Namespace) -> int:
    from sr.packing import write_pack

    write_pack(args.folders, args.output, args.max_side, args.workers)
    return 0
