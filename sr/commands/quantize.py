"""`python -m sr quantize`: settings for int8 beside trained weights, and what int8 costs and saves."""

import argparse
from pathlib import Path

from sr.errors import SRError
from sr.methods import METHODS, WEIGHTS

HELP = "make the settings with which SRResNet's architecture is computed in int8 (CPUs)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", nargs="+", type=Path, required=True, metavar="DIR", help="folders of training images, for the ranges"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--methods",
        nargs="+",
        choices=METHODS,
        metavar="METHOD",
        help="methods whose shipped weights get settings (default: all of SRResNet's architecture)",
    )
    which.add_argument(
        "--weights", type=Path, metavar="FILE", help="weights (.safetensors, model card beside it) of your own training"
    )
    parser.add_argument(
        "--benchmark", type=Path, metavar="DIR", help="measure the loss on benchmark sets in DIR as well"
    )
    parser.add_argument(
        "--sets",
        nargs="+",
        default=["Set5", "Set14", "BSD100"],
        metavar="SET",
        help="folders of the benchmark (default: Set5 Set14 BSD100)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT",
        help="write loss against speed to OUT.csv, OUT.md and OUT.png; a name without suffix",
    )


def run(args: argparse.Namespace) -> int:
    try:
        import openvino  # noqa: F401
    except ImportError as error:
        raise SRError("OpenVINO is not installed (pip install openvino); int8 is computed by it") from error
    from sr.benchmark import BenchmarkSet
    from sr.quantization_report import write_report
    from sr.quantize import quantise
    from sr.runtimes import int8

    benchmarks = [BenchmarkSet(args.benchmark, name) for name in dict.fromkeys(args.sets)] if args.benchmark else []
    measured = {}
    for weights in [args.weights] if args.weights else _shipped(args.methods):
        settings, points = quantise(weights, args.data, benchmarks)
        measured[weights.stem] = points
        lost = ", ".join(f"{kind} {value:.3f}" for kind, value in settings.psnr_lost.items())
        kept = [name for name in points[0].kept if name not in settings.ranges]
        said = "" if settings.is_good else f"; more than {int8.MAX_LOSS}: auto will not use it"
        print(
            f"{int8.write(settings, weights)}: fp32 in {', '.join(kept) or 'none'}; dB lost: {lost}{said}", flush=True
        )
        if args.output:
            write_report(measured, args.output)
    return 0


def _shipped(methods: list[str] | None) -> list[Path]:
    import json

    files = {name: WEIGHTS / f"{name}.safetensors" for name in methods or METHODS}
    found = [file for file in files.values() if file.is_file()]
    if methods is None:
        cards = {file: json.loads(file.with_suffix(".json").read_bytes()) for file in found}
        return [file for file, card in cards.items() if card["architecture"]["name"] == "SRResNet"]
    if missing := [name for name, file in files.items() if not file.is_file()]:
        raise SRError(f"{', '.join(missing)}: no weights are shipped; give a file of your own with --weights")
    return found
