"""`python -m sr bench train|infer`: speed on this machine, beside a plain way and the machine's peak."""

import argparse
import json
from pathlib import Path
from typing import Any

from sr.errors import SRError

HELP = "measure speed on this machine"
TRAIN_HELP = "patches per second of the training, beside a plain training loop and the peak of matrix products"
INFER_HELP = "LR pixels per second of a network on the CPU, beside a plain loop and the peak of matrix products"
COLUMNS = (
    "run", "crops in a batch", "precision", "patches/s (turns)", "TFLOP/s", "share of matmul peak",
    "KB to device per patch", "waiting for data", "cold start", "peak memory",
)  # fmt: skip
INFER_COLUMNS = (
    "run", "LR pixels/s (turns)", "to naive", "LR pixels per CPU s", "GFLOP/s", "share of matmul peak", "peak memory",
    "cold start",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    train = kinds.add_parser("train", help=TRAIN_HELP, description=TRAIN_HELP)
    train.add_argument(
        "--data", nargs="+", type=Path, required=True, metavar="DIR", help="folders of images, searched recursively"
    )
    train.add_argument("--vgg", type=Path, metavar="FILE", help="VGG16 or VGG19 weights: measures SRGAN-VGG54 as well")
    train.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default: %(default)s)")
    infer = kinds.add_parser("infer", help=INFER_HELP, description=INFER_HELP)
    infer.add_argument("--method", default="srgan", help="srgan (default), srresnet or another of this architecture")
    infer.add_argument(
        "--onnx", nargs="+", type=Path, default=[], metavar="FILE", help="models to run in ONNX Runtime beside"
    )
    for kind in (train, infer):
        kind.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: one a core)")
        kind.add_argument(
            "--seconds", type=float, default=60, metavar="S", help="of measurement for each run (default: %(default)g)"
        )
        kind.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")


def run(args: argparse.Namespace) -> int:
    import torch

    from sr.files import write_text

    if args.seconds <= 0:
        raise SRError(f"--seconds must be above 0, got {args.seconds:g}")
    if args.threads is not None:
        if args.threads < 1:
            raise SRError(f"--threads must be at least 1, got {args.threads}")
        torch.set_num_threads(args.threads)
    report = _train(args) if args.kind == "train" else _infer(args)
    print("\n".join(markdown(report) if args.kind == "train" else infer_markdown(report)))
    if args.json:
        text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
        write_text(args.json, text)
    return 0


def _train(args: argparse.Namespace) -> dict[str, Any]:
    import torch

    from sr.inference import resolve_device
    from sr.speed.train import measure

    device = args.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return measure(args.data, resolve_device(device), args.seconds, args.vgg)


def _infer(args: argparse.Namespace) -> dict[str, Any]:
    from sr.speed.infer import measure

    return measure(args.method, args.seconds, args.onnx, args.threads)


def infer_markdown(report: dict[str, Any]) -> list[str]:
    """Lines of a section for results/speed.md: the machine, its peak, a row for each run."""
    height, width = report["picture"]
    peak = report["matmul_gflops"]["fp32"]
    said = ", ".join(f"{name} {version}" for name, version in report["versions"].items() if version)
    lines = [
        f"{report['machine']['device']}; {said}. Matrix products in fp32 reach {peak:.0f} GFLOP/s.",
        f"{report['method']} on a picture of {width}x{height} LR pixels; an LR pixel takes "
        f"{report['flops_per_lr_pixel'] / 1e6:.2f} MFLOP.",
        "",
        f"| {' | '.join(INFER_COLUMNS)} |",
        "|---" * len(INFER_COLUMNS) + "|",
    ]
    for name, run in report["runs"].items():
        memory = run["peak_memory_mib"]
        cells = [
            name,
            f"{run['lr_pixels_per_s']:.0f} ({min(run['turns']):.0f} to {max(run['turns']):.0f})",
            f"x{report['ratios'][name]:.2f}",
            f"{run['lr_pixels_per_cpu_s']:.0f}",
            f"{run['gflops']:.0f}",
            f"{run['share_of_peak']:.0%}",
            "-" if memory is None else f"{memory:.0f} MiB",
            f"{run['cold_start_s']:.1f} s",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    left_out = [f"Left out: {name} ({reason})." for name, reason in report["left_out"].items()]
    return [*lines, "", *left_out, f"`{report['command']}`"]


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
