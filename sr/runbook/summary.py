"""The summary of a run-book as a page of Markdown."""

from collections.abc import Iterable
from typing import Any

from sr.runbook.throughput import Throughput

TITLES = {"bicubic": "bicubic", "srresnet": "SRResNet", "srgan": "SRGAN"}


def as_markdown(summary: dict[str, Any]) -> str:
    """summary: see `sr.runbook.report`. PSNR in dB."""
    versions = ", ".join(f"{name} {version}" for name, version in summary["versions"].items())
    failed = [stage for stage in summary["stages"] if stage["outcome"] != "finished"]
    parts = [
        "# A run-book's results",
        f"`{summary['command']}`",
        f"{summary['seconds'] / 60:.1f} of {summary['minutes']:g} minutes on {summary['device']}; {versions}; "
        f"{summary['images']} images, {summary['megapixels']} Mpixel.",
        *(f"**{stage['name']} {stage['outcome']}; it is left out.**" for stage in failed),
        "## Quality",
        "PSNR in dB / SSIM, mean over each set. VGG54: distance to the original between deep features "
        f"({summary['vgg54']}), lower is better. Differences: to the shipped weights of the same network; SRGAN's PSNR "
        "falls where it dares more texture.",
        _quality(summary),
        "## Training",
        _training(summary["stages"]),
        "Seconds are of training alone. The blended SRGAN is what was delivered and measured.",
        "## Speed",
        _speed(summary),
        "## Pictures",
        "![Bicubic, SRResNet, SRGAN, original](samples.png)",
        "![Training curves](curves.png)",
    ]
    return "\n\n".join(parts) + "\n"


def _quality(summary: dict[str, Any]) -> str:
    references, metrics = summary["references"], summary["metrics"]
    rows = []
    for name in references["bicubic"]["standard"]:
        rows.append([name, "bicubic", *_figures(references["bicubic"], name), ""])
        for method, figures in metrics.items():
            new, old = figures["standard"][name], references[method]["standard"][name]
            difference = f"{new['psnr'] - old['psnr']:+.2f} dB, {new['vgg54'] - old['vgg54']:+.1f}"
            rows.append([name, f"{TITLES[method]}, shipped", *_figures(references[method], name), ""])
            rows.append([name, f"**{TITLES[method]}, new**", *_figures(figures, name), difference])
    return _table(
        ["set", "method", "paper protocol", "standard protocol", "VGG54", "difference: PSNR (standard), VGG54"], rows
    )


def _figures(of_method: dict[str, Any], name: str) -> list[str]:
    paper, standard = of_method["paper"][name], of_method["standard"][name]
    return [*(f"{cell['psnr']:.2f} / {cell['ssim']:.4f}" for cell in (paper, standard)), f"{standard['vgg54']:.1f}"]


def _training(stages: list[dict[str, Any]]) -> str:
    rows = [
        [
            stage["name"],
            stage["outcome"],
            f"{stage['steps']:,}",
            f"{stage['patches']:,}",
            f"{stage['seconds']:.0f}",
            f"{stage['patches'] / max(stage['seconds'], 1e-9):.1f}",
        ]
        for stage in stages
    ]
    return _table(["stage", "outcome", "steps", "patches", "seconds", "patches/s"], rows)


def _speed(summary: dict[str, Any]) -> str:
    lines = [f"- {TITLES[name]}: {Throughput(**speed)}" for name, speed in summary["throughput"].items()]
    if summary["matmul_tflops"] is not None:
        lines.append(f"- bf16 matrix products of 8192 a side: {summary['matmul_tflops']:.0f} TFLOP/s")
    return "\n".join(lines)


def _table(header: list[str], rows: Iterable[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows])
