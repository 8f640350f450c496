"""`python -m sr figure`: crops of HR images as every method restores them, side by side with the original."""

import argparse
import re
from pathlib import Path

from tqdm import tqdm

from sr.errors import SRError
from sr.images import read_rgb_array, write_png
from sr.methods import METHODS

HELP = "draw the paper's figure: methods side by side with the original, PSNR and SSIM under them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE[:X,Y,W,H]",
        help="HR image and the crop to show, in its pixels (default: all of it); a row of the figure each",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.png", help="the figure")
    parser.add_argument(
        "--methods",
        nargs="+",
        default=["bicubic", "srresnet", "srgan"],
        choices=METHODS,
        metavar="METHOD",
        help=f"out of: {', '.join(METHODS)} (default: %(default)s)",
    )
    parser.add_argument("--zoom", type=int, default=1, help="figure pixels per image pixel (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    from sr.figure import draw_row, restore, stack
    from sr.resize import hr_and_lr

    if args.zoom < 1:
        raise SRError(f"--zoom must be at least 1, got {args.zoom}")
    rows = []
    with tqdm(total=len(args.images) * len(args.methods), unit="image") as bar:
        for argument in args.images:
            path, crop = _split(argument)
            hr, lr = hr_and_lr(read_rgb_array(path))
            restored = restore(lr, args.methods, args.device, lambda name: bar.update())
            rows.append(draw_row(hr, restored, crop or (0, 0, hr.shape[1], hr.shape[0]), args.zoom))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    write_png(stack(rows), args.output)
    print(args.output)
    return 0


def _split(argument: str) -> tuple[Path, tuple[int, int, int, int] | None]:
    match = re.fullmatch(r"(.+):(\d+),(\d+),(\d+),(\d+)", argument)
    if match is None:
        return Path(argument), None
    left, top, width, height = (int(number) for number in match.groups()[1:])
    return Path(match[1]), (left, top, width, height)
