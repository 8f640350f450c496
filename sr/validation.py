"""Figures of a generator during and after its training."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sr.benchmark import BenchmarkSet
from sr.evaluate import evaluate, means
from sr.images import read_rgb_array
from sr.inference import engine
from sr.losses import VGGLoss
from sr.measures import VGGDistance
from sr.methods import Upscaler
from sr.metrics import psnr
from sr.trainer import Trainer


class Validation:
    """Measures a trainer's current result on a benchmark set.

    crop_side: of the pictures for the log, in LR pixels.
    """

    def __init__(self, benchmark: BenchmarkSet, pictures: int = 6, crop_side: int = 40):
        self._images = [(read_rgb_array(image.lr), read_rgb_array(image.hr)) for image in benchmark]
        self._pictures = pictures
        self._side = min(crop_side, *(min(lr.shape[:2]) for lr, _ in self._images[:pictures]))

    def measure(self, trainer: Trainer) -> tuple[dict[str, float], tuple[Tensor, Tensor, Tensor]]:
        """Figures by their names in the log, and LR, SR and HR crops to look at.

        The figure is the mean PSNR in dB, standard protocol. The crops are the middle of the first pictures, always the
        same ones: uint8 (N, 3, h, w), x4, x4.
        """
        generator = type(trainer.generator)(**trainer.generator.config())
        generator.load_state_dict(trainer.result())
        upscaler = Upscaler("validation", engine(generator, trainer.device, "fp32"))
        scores, rows = [], []
        for lr, hr in self._images:
            sr = upscaler.upscale(lr)
            scores.append(psnr(sr, hr, "standard"))
            if len(rows) < self._pictures:
                top, left = ((side - self._side) // 2 for side in lr.shape[:2])
                scaled = ((lr, 1), (sr, upscaler.scale), (hr, upscaler.scale))
                rows.append([_cut(image, factor, top, left, self._side) for image, factor in scaled])
        crops = tuple(torch.stack(column) for column in zip(*rows, strict=True))
        return {"psnr_standard": float(np.mean(scores))}, crops


def _cut(image: np.ndarray, factor: int, top: int, left: int, side: int) -> Tensor:
    piece = image[factor * top : factor * (top + side), factor * left : factor * (left + side)]
    return torch.from_numpy(np.ascontiguousarray(piece)).permute(2, 0, 1)


def card_metrics(
    weights: Path, benchmark: Path, sets: list[str], vgg: Path | None, device: torch.device
) -> dict[str, Any]:
    """Means of a generator's weights file over benchmark sets: {protocol: {SET: {"psnr", "ssim"[, "vgg54"]}}}.

    vgg: VGG weights; with them the distance of the VGG54 features is measured, too.
    """
    measures = [VGGDistance(VGGLoss("vgg54", vgg).to(device))] if vgg else []
    # Any network method will do: the architecture comes from the card beside the weights.
    given = {"srresnet": weights}
    measured = evaluate(
        benchmark, sets, ["srresnet"], weights=given, measures=measures, device=str(device), progress=True
    )
    return means(measured)["srresnet"]
