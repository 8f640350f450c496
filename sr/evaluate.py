"""Measure methods on benchmark sets: PSNR, SSIM and, if asked, the distance between VGG features."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from sr.benchmark import BenchmarkSet
from sr.errors import SRError
from sr.files import write_atomically
from sr.images import read_rgb_array
from sr.losses import VGGLoss
from sr.methods import load
from sr.metrics import PROTOCOLS, psnr, ssim

# {SET: {METHOD: {"psnr": mean, "ssim": mean, "images": {NAME: {"psnr": ..., "ssim": ...}}}}}
Results = dict[str, dict[str, dict]]

# Table 2 of the paper: PSNR in dB and SSIM, in the protocol "paper".
PAPER_TABLE_2 = {
    "nearest": {"Set5": (26.26, 0.7552), "Set14": (24.64, 0.7100), "BSD100": (25.02, 0.6606)},
    "bicubic": {"Set5": (28.43, 0.8211), "Set14": (25.99, 0.7486), "BSD100": (25.94, 0.6935)},
    "srcnn": {"Set5": (30.07, 0.8627), "Set14": (27.18, 0.7861), "BSD100": (26.68, 0.7291)},
    "selfexsr": {"Set5": (30.33, 0.872), "Set14": (27.45, 0.7972), "BSD100": (26.83, 0.7387)},
    "drcn": {"Set5": (31.52, 0.8938), "Set14": (28.02, 0.8074), "BSD100": (27.21, 0.7493)},
    "espcn": {"Set5": (30.76, 0.8784), "Set14": (27.66, 0.8004), "BSD100": (27.02, 0.7442)},
    "srresnet": {"Set5": (32.05, 0.9019), "Set14": (28.49, 0.8184), "BSD100": (27.58, 0.7620)},
    "srgan": {"Set5": (29.40, 0.8472), "Set14": (26.02, 0.7397), "BSD100": (25.16, 0.6688)},
}


def evaluate(
    benchmark: Path | str,
    sets: Sequence[str],
    methods: Sequence[str],
    *,
    protocols: Sequence[str] = PROTOCOLS,
    device: str = "auto",
    weights: Mapping[str, Path] | None = None,
    vgg54: VGGLoss | None = None,
    progress: bool = False,
) -> dict[str, Results]:
    """Upscale every image of the sets once with every method, in fp32, and measure it in every protocol.

    benchmark: folder with SET/HR/*.png and SET/LRx4/*.png (see `sr.benchmark`).
    methods: names out of `sr.methods.METHODS`.
    device: as for `sr.load`.
    weights: method -> safetensors file to use instead of the shipped one.
    vgg54: VGGLoss("vgg54", ...): adds "vgg54", the loss between the 8-bit result and HR, both in [-1, 1]; lower is
        better. It is of the whole image in RGB, the same in every protocol.
    progress: show a progress bar on stderr.
    Returns {protocol: {SET: {METHOD: {"psnr": mean, "ssim": mean, "images": {NAME: {"psnr": dB, "ssim": ...}}}}}};
        means are over the images of the set. PSNR is math.inf where the lumas are equal.
    Raises SRError, before anything is computed, for an unknown method or set, unusable images or weights.
    """
    weights = weights or {}
    unused = [name for name in weights if name not in methods]
    if unused:
        raise SRError(f"weights are given for {', '.join(unused)}, but the methods are {', '.join(methods)}")
    upscalers = {name: load(name, device=device, precision="fp32", weights=weights.get(name)) for name in methods}
    benchmarks = [BenchmarkSet(benchmark, name) for name in dict.fromkeys(sets)]

    results = {p: {b.name: {m: {"images": {}} for m in upscalers} for b in benchmarks} for p in protocols}
    total = len(upscalers) * sum(len(images) for images in benchmarks)
    with tqdm(total=total, unit="image", disable=not progress) as bar:
        for images in benchmarks:
            bar.set_description(images.name)
            for image in images:
                lr, hr = read_rgb_array(image.lr), read_rgb_array(image.hr)
                hr_features = None if vgg54 is None else _features(vgg54, hr)
                for method, upscaler in upscalers.items():
                    sr = upscaler.upscale(lr)
                    distance = {}
                    if hr_features is not None:
                        # VGGLoss(sr, hr), without computing the features of hr anew for every method.
                        distance["vgg54"] = float((_features(vgg54, sr) - hr_features).square().sum(1).mean())
                    for protocol in protocols:
                        results[protocol][images.name][method]["images"][image.name] = {
                            "psnr": psnr(sr, hr, protocol),
                            "ssim": ssim(sr, hr, protocol),
                            **distance,
                        }
                    bar.update()
    for of_protocol in results.values():
        for of_set in of_protocol.values():
            for method, cell in of_set.items():
                of_set[method] = {**_means(list(cell["images"].values())), **cell}
    return results


@torch.inference_mode()
def _features(vgg54: VGGLoss, image: np.ndarray) -> Tensor:
    tensor = torch.from_numpy(image).to(vgg54.mean.device).permute(2, 0, 1)[None]
    return vgg54.extract(tensor / 127.5 - 1)


def _means(figures: list[dict[str, float]]) -> dict[str, float]:
    return {key: math.fsum(figure[key] for figure in figures) / len(figures) for key in figures[0]}


def format_table(results: Results, protocol: str) -> str:
    """Markdown table, one row per set and method; in the protocol "paper" next to the paper's Table 2."""
    with_vgg = any("vgg54" in cell for of_set in results.values() for cell in of_set.values())
    header = ["set", "method", "images", "PSNR / dB", "SSIM"]
    header += ["VGG54"] if with_vgg else []
    header += ["paper's PSNR", "paper's SSIM"] if protocol == "paper" else []
    rows = [header]
    for set_name, of_set in results.items():
        for method, cell in of_set.items():
            row = [set_name, method, str(len(cell["images"])), f"{cell['psnr']:.2f}", f"{cell['ssim']:.4f}"]
            if with_vgg:
                row.append(f"{cell['vgg54']:.4f}")
            if protocol == "paper":
                cited = PAPER_TABLE_2.get(method, {}).get(set_name)
                row += [f"{cited[0]:.2f}", f"{cited[1]:.4f}"] if cited else ["", ""]
            rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    rule = ["-" * w if column < 2 else "-" * (w - 1) + ":" for column, w in enumerate(widths)]
    rows.insert(1, rule)
    return "\n".join(
        "| "
        + " | ".join(
            text.ljust(w) if column < 2 else text.rjust(w)
            for column, (text, w) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in rows
    )


def means(measured: dict[str, Results]) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """The means in what `evaluate` returns: method -> "metrics" of a model card (protocol, set, figure)."""
    table: dict[str, Any] = {}
    for protocol, results in measured.items():
        for name, of_set in results.items():
            for method, cell in of_set.items():
                figures = {key: round(value, 4) for key, value in cell.items() if key != "images"}
                table.setdefault(method, {}).setdefault(protocol, {})[name] = figures
    return table


def write_json(path: Path, document: Mapping) -> None:
    """Write an evaluation as JSON; the file appears complete or not at all.

    JSON knows no infinity: an infinite PSNR becomes the string "Infinity", which Python's float() and JavaScript's
    Number() take. Raises SRError where the file cannot be written.
    """
    text = json.dumps(_finite(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        write_atomically(Path(path), lambda temporary: temporary.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise SRError(f"cannot write {path}: {error.strerror}") from error


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return "Infinity" if value == math.inf else value
