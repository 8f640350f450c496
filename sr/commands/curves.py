"""`python -m sr curves`: the training curves of runs, several overlaid."""

import argparse
from pathlib import Path

HELP = "draw training curves from the logs of runs: validation PSNR, losses, gradients, speed against patches seen"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder or its log.csv")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the figure (.png or .svg)")


def run(args: argparse.Namespace) -> int:
    from sr.curves import draw, read_runs
    from sr.plots import write

    write(draw(read_runs(args.runs)), args.output)
    print(args.output)
    return 0
