"""`python -m sr centre`: mean colours set right after a training, see `sr.centring`."""

import argparse
from pathlib import Path

from sr.errors import SRError

HELP = "set a generator's last bias so that the mean colours of what it makes are the originals'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help="of a generator (.safetensors)")
    parser.add_argument(
        "--data", nargs="+", type=Path, required=True, metavar="DIR", help="HR images, searched recursively"
    )
    parser.add_argument(
        "--images", type=int, default=300, metavar="N", help="how many to take, evenly (default: %(default)s)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the result (.safetensors)")


def run(args: argparse.Namespace) -> int:
    from sr.centring import centre
    from sr.checkpoint import save_weights
    from sr.inference import resolve_device

    if args.output.suffix != ".safetensors":
        raise SRError(f"{args.output} must end in .safetensors")
    if args.images < 1:
        raise SRError(f"--images must be at least 1, got {args.images}")
    state, card, shift = centre(args.weights, args.data, args.images, resolve_device(args.device))
    said = ", ".join(f"{name} {value:+.2f}" for name, value in zip(("R", "G", "B"), shift, strict=True))
    print(f"mean colour before, SR - HR in 1/255 over {card['centred']['images']} images: {said}")
    print(save_weights(args.output.parent, args.output.stem, state, card))
    return 0
