"""Figures of a generator during and after its training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sr.benchmark import BenchmarkSet
from sr.evaluate import evaluate
from sr.images import read_rgb_array
from sr.inference import Network
from sr.losses import VGGLoss
from sr.methods import Upscaler
from sr.metrics import psnr
from sr.models import SRResNet
from sr.training import Trainer


def validator(benchmark: BenchmarkSet) -> Callable[[Trainer], dict[str, float]]:
    """A function that measures a trainer's current result on a set: mean PSNR in dB, standard protocol."""
    images = [(read_rgb_array(image.lr), read_rgb_array(image.hr)) for image in benchmark]

    def validate(trainer: Trainer) -> dict[str, float]:
        generator = SRResNet(**trainer.generator.config())
        generator.load_state_dict(trainer.result())
        upscaler = Upscaler("validation", Network(generator, trainer.device, "fp32"))
        scores = [psnr(upscaler.upscale(lr), hr, "standard") for lr, hr in images]
        return {"psnr_standard": float(np.mean(scores))}

    return validate


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
    return {
        protocol: {
            name: {key: round(value, 4) for key, value in of_set["srresnet"].items() if key != "images"}
            for name, of_set in results.items()
        }
        for protocol, results in measured.items()
    }
