"""Figures of a generator during and after its training."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sr.benchmark import BenchmarkSet
from sr.evaluate import evaluate, means
from sr.images import read_rgb_array
from sr.inference import Network
from sr.losses import VGGLoss
from sr.methods import Upscaler
from sr.metrics import psnr
from sr.models import SRResNet
from sr.trainer import Trainer


class Validation:
    """Measures a trainer's current result on a benchmark set.

    crop_side: of the pictures for the log, in LR pixels.
    """

    def __init__(self, benchmark: BenchmarkSet, pictures: int = 6, crop_side: int = 40):
        self._images = [(read_rgb_array(image.lr), read_rgb_array(image.hr)) for image in benchmark]
        self._pictures = self._images[:pictures]
        self._side = min(crop_side, *(min(lr.shape[:2]) for lr, _ in self._pictures))

    def figures(self, trainer: Trainer) -> dict[str, float]:
        """Mean PSNR in dB, standard protocol, under its name in the log."""
        upscaler = self._upscaler(trainer)
        scores = [psnr(upscaler.upscale(lr), hr, "standard") for lr, hr in self._images]
        return {"psnr_standard": float(np.mean(scores))}

    def crops(self, trainer: Trainer) -> tuple[Tensor, Tensor, Tensor]:
        """LR, SR and HR of the middle of the first pictures, always the same ones: uint8 (N, 3, h, w), x4, x4."""
        upscaler = self._upscaler(trainer)
        rows = []
        for lr, hr in self._pictures:
            top, left = ((side - self._side) // 2 for side in lr.shape[:2])
            rows.append(
                [
                    _cut(image, factor, top, left, self._side)
                    for image, factor in ((lr, 1), (upscaler.upscale(lr), upscaler.scale), (hr, upscaler.scale))
                ]
            )
        return tuple(torch.stack(column) for column in zip(*rows, strict=True))

    def _upscaler(self, trainer: Trainer) -> Upscaler:
        generator = SRResNet(**trainer.generator.config())
        generator.load_state_dict(trainer.result())
        return Upscaler("validation", Network(generator, trainer.device, "fp32"))


def _cut(image: np.ndarray, factor: int, top: int, left: int, side: int) -> Tensor:
    piece = image[factor * top : factor * (top + side), factor * left : factor * (left + side)]
    return torch.from_numpy(np.ascontiguousarray(piece)).permute(2, 0, 1)


def card_metrics(
    weights: Path, benchmark: Path, sets: list[str], vgg: Path | None, device: torch.device
) -> dict[str, Any]:
    """Means of a generator's weights file over benchmark sets: {protocol: {SET: {"psnr", "ssim"[, "vgg54"]}}}.

    vgg: VGG weights; with them the distance of the VGG54 features is measured, too.
    """
    loss = VGGLoss("vgg54", vgg).to(device) if vgg else None
    # Any network method will do: the architecture comes from the card beside the weights.
    given = {"srresnet": weights}
    measured = evaluate(benchmark, sets, ["srresnet"], weights=given, vgg54=loss, device=str(device), progress=True)
    return means(measured)["srresnet"]
