"""`python -m sr download`: benchmark and training sets from their public homes."""

import argparse
from pathlib import Path

HELP = "fetch benchmark and training images: Set5, Set14, BSD100, BSDS300's training images, DIV2K"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from sr.homes import HOMES

    parser.add_argument(
        "sets",
        nargs="+",
        choices=list(HOMES),
        metavar="SET",
        help=f"{', '.join(HOMES)} (DIV2K has 3.5 GB, the others together less than 100 MB)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder that gets benchmark/Set5 and so on, and train/bsds300_train and train/div2k; sets that are there "
        "are checked, and what is missing or damaged is fetched again",
    )
    parser.add_argument(
        "--home",
        metavar="ADDRESS",
        help="a mirror, or a folder of files fetched by other means, in place of the public addresses: it holds "
        "Set5/image_SRF_4/img_001_SRF_4_HR.png and so on (as the folder data of SelfExSR's repository does), "
        "BSDS300-images.tgz, DIV2K_train_HR.zip",
    )


def run(args: argparse.Namespace) -> int:
    from sr.download import download
    from sr.homes import HOMES

    download(args.sets, args.output, args.home)
    folders = {Path(HOMES[name].folder).parts[0] for name in args.sets}
    flags = {"benchmark": "--benchmark", "train": "--data"}
    print("use with:", *(f"{flags[folder]} {args.output / folder}" for folder in sorted(folders)))
    return 0
