"""`python -m sr blend`: weights between two generators, see `sr.blending`."""

import argparse
from pathlib import Path

from sr.errors import SRError

HELP = "interpolate between the weights of two generators, e.g. SRResNet and SRGAN trained from it: fewer artefacts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("start", type=Path, metavar="START", help="weights of share 0, e.g. SRResNet's (.safetensors)")
    parser.add_argument("end", type=Path, metavar="END", help="weights of share 1, trained from START's (.safetensors)")
    parser.add_argument("--share", type=float, required=True, help="END's share, 0 to 1")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the result (.safetensors)")


def run(args: argparse.Namespace) -> int:
    from sr.blending import blend
    from sr.checkpoint import save_weights

    if args.output.suffix != ".safetensors":
        raise SRError(f"{args.output} must end in .safetensors")
    state, card = blend(args.start, args.end, args.share)
    print(save_weights(args.output.parent, args.output.stem, state, card))
    return 0
