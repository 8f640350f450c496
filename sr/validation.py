"""Figures of a generator during and after its training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sr.benchmark import BenchmarkSet
from sr.evaluate import evaluate
from sr.images import read_rgb_array
from sr.losses import VGGLoss
from sr.metrics import psnr
from sr.models import SRResNet
from sr.training import Trainer


def validator(benchmark: BenchmarkSet) -> Callable[[Trainer], dict[str, float]]:
    """A function that measures a trainer's current result on a set: mean PSNR in dB, standard protocol."""
    images = [(read_rgb_array(image.lr), read_rgb_array(image.hr)) for image in benchmark]

    def validate(trainer: Trainer) -> dict[str, float]:
        generator = SRResNet(**trainer.generator.config())
        generator.load_state_dict(trainer.result())
        generator.to(trainer.device, memory_format=torch.channels_last).eval()
        scores = [psnr(_restore(generator, lr, trainer.device), hr, "standard") for lr, hr in images]
        return {"psnr_standard": float(np.mean(scores))}

    return validate


@torch.inference_mode()
def _restore(generator: SRResNet, lr: np.ndarray, device: torch.device) -> np.ndarray:
    """uint8 (H, W, 3) -> uint8 (4H, 4W, 3)."""
    image = torch.from_numpy(lr).to(device).permute(2, 0, 1)[None].float().div(255)
    restored = generator(image)[0].add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return restored.permute(1, 2, 0).cpu().numpy()


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
