"""`python -m sr inspect`: places that a method spoils, grids and colours that it shifts, over folders of images."""

import argparse
import os
from pathlib import Path

from sr.errors import SRError
from sr.methods import METHODS, load

HELP = "look for blobs, grids and colour shifts in what a method makes of many images"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="HR images, searched recursively")
    parser.add_argument(
        "--method",
        default="srgan",
        choices=METHODS,
        metavar="METHOD",
        help=f"out of: {', '.join(METHODS)} (default: %(default)s)",
    )
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weights (.safetensors) instead of the shipped")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: %(default)s)")
    parser.add_argument("--worst", type=int, default=10, metavar="N", help="how many to show (default: %(default)s)")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE.csv",
        help="figures of every image, named by its path below the folders",
    )
    parser.add_argument("--sheet", type=Path, metavar="FILE.png", help="picture of the worst, beside the originals")


def run(args: argparse.Namespace) -> int:
    import numpy as np
    import pandas as pd
    from tqdm import tqdm

    from sr.artefacts import draw_sheet, inspect, worst
    from sr.data import find_files
    from sr.files import write_text
    from sr.images import write_png

    if args.worst < 1:
        raise SRError(f"--worst must be at least 1, got {args.worst}")
    folders = [Path(os.path.abspath(folder)) for folder in args.folders]
    files = find_files(folders)
    if not files:
        raise SRError(f"no image in {', '.join(map(str, args.folders))}")
    root = Path(os.path.commonpath(folders))
    upscaler = load(args.method, device=args.device, weights=args.weights)
    skipped: list[str] = []
    found = list(
        tqdm(
            inspect(files, root, upscaler.upscale, skipped.append),
            total=len(files),
            unit="image",
        )
    )
    for line in skipped:
        print(f"skipped: {line}")
    if not found:
        raise SRError(f"none of the {len(files)} images could be used")
    rows = pd.DataFrame([vars(finding) | {"excess": finding.excess} for finding in found])
    write_text(args.output, rows.sort_values("excess", ascending=False).to_csv(index=False, float_format="%.3f"))
    shown = worst(found, args.worst)
    if args.sheet:
        write_png(draw_sheet(shown, root, upscaler.upscale), args.sheet)
    print(f"{args.method}, {upscaler.runtime} in {upscaler.precision}; {len(found)} images, {len(skipped)} skipped")
    for column in ("colour_shift", "local_colour_shift", "grid"):
        values, what = rows[column], column.replace("_", " ")
        print(
            f"{what}: mean {values.mean():.3f}, 99 of 100 below {np.quantile(values, 0.99):.3f}, "
            f"largest {values.max():.3f} of 255; {(values > 1).sum()} images above 1"
        )
    print("most local contrast that the original does not have:")
    for finding in shown:
        print(
            f"  {finding.excess:5.1f} ({finding.contrast:.1f} instead of {finding.hr_contrast:.1f}) "
            f"{finding.image} at {finding.left},{finding.top}"
        )
    return 0
