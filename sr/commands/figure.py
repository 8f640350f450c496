"""`python -m sr figure`: crops of HR images as every method restores them, side by side with the original."""

import argparse
from pathlib import Path

from tqdm import tqdm

from sr.errors import SRError
from sr.images import write_png
from sr.methods import METHODS, load

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
    from sr.figure import draw_rows, split_crop

    if args.zoom < 1:
        raise SRError(f"--zoom must be at least 1, got {args.zoom}")
    images = [split_crop(text) for text in args.images]
    upscalers = [load(name, device=args.device, precision="fp32", runtime="torch") for name in args.methods]
    with tqdm(total=len(images) * len(upscalers), unit="image") as bar:
        figure = draw_rows(images, upscalers, args.zoom, lambda name: bar.update())
    write_png(figure, args.output)
    print(args.output)
    return 0
