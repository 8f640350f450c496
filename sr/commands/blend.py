"""`python -m sr blend`: weights between two generators (network interpolation, Wang et al. 2018, section 3.4)."""

import argparse
import json
from pathlib import Path

from sr.errors import SRError

HELP = "interpolate between the weights of two generators, e.g. SRResNet and SRGAN trained from it: fewer artefacts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("start", type=Path, metavar="START", help="weights of share 0, e.g. SRResNet's (.safetensors)")
    parser.add_argument("end", type=Path, metavar="END", help="weights of share 1, trained from START's (.safetensors)")
    parser.add_argument("--share", type=float, required=True, help="END's share, 0 to 1")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the result (.safetensors)")


def run(args: argparse.Namespace) -> int:
    import torch

    from sr.card import command_line
    from sr.checkpoint import save_weights
    from sr.inference import load_network

    if not 0 <= args.share <= 1:
        raise SRError(f"--share must lie between 0 and 1, got {args.share:g}")
    if args.output.suffix != ".safetensors":
        raise SRError(f"{args.output} must end in .safetensors")
    start, end = load_network(args.start), load_network(args.end)
    if start.config() != end.config():
        raise SRError(f"{args.start} has {start.config()}, {args.end} has {end.config()}: they cannot be blended")
    other = start.state_dict()
    state = {
        key: torch.lerp(other[key], value, args.share) if value.is_floating_point() else value
        for key, value in end.state_dict().items()
    }
    card = json.loads(args.end.with_suffix(".json").read_text(encoding="utf-8"))
    card["blend"] = {"command": command_line(), "share": args.share, "start": args.start.name, "end": args.end.name}
    mixed = f"the weights are {args.share:g} of the trained ones and {1 - args.share:g} of those they started from"
    card["departures"] = [*card.get("departures", []), mixed]
    card["metrics"] = {}  # END's figures are not the result's
    print(save_weights(args.output.parent, args.output.stem, state, card))
    return 0
