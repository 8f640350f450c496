"""`python -m sr bench train`: training speed on this machine, beside a plain loop and the machine's peak."""

import argparse
import json
from pathlib import Path
from typing import Any

from sr.errors import SRError

HELP = "measure speed on this machine"
TRAIN_HELP = "patches per second of the training, beside a plain training loop and the peak of matrix products"
COLUMNS = (
    "run", "crops in a batch", "precision", "patches/s (turns)", "TFLOP/s", "share of matmul peak",
    "KB to device per patch", "waiting for data", "cold start", "peak memory",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    train = kinds.add_parser("train", help=TRAIN_HELP, description=TRAIN_HELP)
    train.add_argument(
        "--data", nargs="+", type=Path, required=True, metavar="DIR", help="folders of images, searched recursively"
    )
    train.add_argument("--vgg", type=Path, metavar="FILE", help="VGG16 or VGG19 weights: measures SRGAN-VGG54 as well")
    train.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default: %(default)s)")
    train.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: one a core)")
    train.add_argument(
        "--seconds", type=float, default=60, metavar="S", help="of measurement for each run (default: %(default)g)"
    )
    train.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")


def run(args: argparse.Namespace) -> int:
    import torch

    from sr.files import write_atomically
    from sr.inference import resolve_device
    from sr.speed.train import measure

    if args.seconds <= 0:
        raise SRError(f"--seconds must be above 0, got {args.seconds:g}")
    if args.threads is not None:
        if args.threads < 1:
            raise SRError(f"--threads must be at least 1, got {args.threads}")
        torch.set_num_threads(args.threads)
    device = args.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    report = measure(args.data, resolve_device(device), args.seconds, args.vgg)
    print("\n".join(markdown(report)))
    if args.json:
        text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
        write_atomically(args.json, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return 0


def markdown(report: dict[str, Any]) -> list[str]:
    """Lines of a section for results/speed.md: the machine, its peaks, a row for each run, and the ratios."""
    machine, versions = report["machine"], report["versions"]
    peaks = ", ".join(f"{name} {value / 1e3:.3g}" for name, value in report["matmul_gflops"].items())
    lines = [f"{machine['device']}; torch {versions['torch']}. Matrix products reach (TFLOP/s): {peaks}.", ""]
    lines += [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    lines += [f"| {' | '.join(_cells(name, figures))} |" for name, figures in report["runs"].items()]
    ratios = {"ratio": "SRResNet", "ratio_srgan": "SRGAN"}
    said = [f"{network} x{report[key]:.2f}" for key, network in ratios.items() if key in report]
    return [*lines, "", f"Ours to plain, equal batches: {', '.join(said)}.", "", f"`{report['command']}`"]


def _cells(name: str, figures: dict[str, Any]) -> list[str]:
    memory = figures["peak_memory_mib"]
    turns = figures["turns"]
    return [
        name,
        f"{figures['batch_size']} of {figures['crop_size']}",
        figures["precision"],
        f"{figures['patches_per_s']:.4g} ({min(turns):.4g} to {max(turns):.4g})",
        f"{figures['tflops']:.3g}",
        f"{figures['share_of_peak']:.0%}",
        f"{figures['bytes_to_device_per_patch'] / 1e3:.3g}",
        f"{figures['data_wait']:.1%}",
        f"{figures['cold_start_s']:.1f} s",
        "-" if memory is None else f"{memory:.0f} MiB",
    ]
