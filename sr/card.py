"""Model cards: what a weights file is, what made it and how good it measured."""

import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import sr
from sr.checkpoint import hardware
from sr.config import TrainConfig
from sr.data import Images
from sr.trainer import Trainer


def command_line() -> str:
    """This process's command, with $SR_DATA and ~ in the place of the folders that they stand for."""
    script = Path(sys.argv[0])
    program = ["-m", script.parent.name] if script.name == "__main__.py" else [script.name]
    return _portable(shlex.join(["python", *program, *sys.argv[1:]]))


def _portable(text: str) -> str:
    """Without this machine's folders: $SR_DATA and ~ in their place."""
    data = os.environ.get("SR_DATA")
    if data:
        text = text.replace(data.rstrip("/"), "$SR_DATA")
    return text.replace(str(Path.home()), "~")


def build_card(trainer: Trainer, images: Images, metrics: dict[str, Any], ranks: int = 1) -> dict[str, Any]:
    """The card of the weights that `trainer` delivers; the training stages of the weights it started from come first.

    metrics: protocol -> set -> figures. ranks: processes that trained together.
    """
    config = trainer.config
    stage = {
        "command": command_line(),
        "loss": _describe_loss(trainer),
        "departures": _departures(trainer),
        "steps": trainer.step,
        "patches": trainer.step * config.batch_size,
        "seconds": round(trainer.seconds),
        "hardware": f"{ranks} x {hardware(trainer.device)}" if ranks > 1 else hardware(trainer.device),
        "precision": config.precision,
        "data": {"images": len(images), "megapixels": round(images.pixels / 1e6), "folders": images.counts},
        "config": asdict(config) | {"init": _portable(config.init) if config.init else None},
        "versions": {"sr": sr.__version__, "torch": torch.__version__},
    }
    stages = [*(trainer.parent_card or {}).get("training", []), stage]
    return {
        "name": config.name,
        "paper": "Ledig et al., Photo-Realistic Single Image Super-Resolution Using a GAN, CVPR 2017",
        "architecture": {"name": "SRResNet", **trainer.generator.config()},
        "input": "RGB in [0, 1], (N, 3, H, W)",
        "output": "RGB in [-1, 1], (N, 3, 4H, 4W), not clipped",
        "degradation": _describe_degradation(config),
        "departures": list(dict.fromkeys(text for stage in stages for text in stage["departures"])),
        "training": stages,
        "patches_in_all": sum(stage["patches"] for stage in stages),
        "seconds_in_all": sum(stage["seconds"] for stage in stages),
        "metrics": metrics,
    }


def _describe_loss(trainer: Trainer) -> str:
    names = {"content": trainer.config.content, "pixel": "l1"}
    parts = []
    for term, (weight, loss) in trainer.terms.items():
        name = getattr(loss, "description", names.get(term, term))
        parts.append(f"{weight:g} * {name}")
    return " + ".join(parts)


def _describe_degradation(config: TrainConfig) -> str:
    if config.degradation == "bicubic":
        return f"MATLAB's bicubic imresize x1/{config.scale} on uint8"
    return f"Gaussian filter and every {config.scale}th pixel, rounded to uint8"


def _departures(trainer: Trainer) -> list[str]:
    """What the run did otherwise than the paper (section 3.2)."""
    config = trainer.config
    result = ["PReLU with one slope a layer (the paper does not say), He and ICNR initialisation"]
    content = trainer.terms.get("content")
    description = getattr(content[1], "description", "") if content else ""
    if description.startswith("VGG16"):
        result.append(f"content loss on {description} instead of VGG19")
    if config.content == "l1":
        result.append("L1 instead of MSE")
    if config.content_weight != 1:
        result.append(f"content loss weighted {config.content_weight:g} instead of 1")
    if config.pixel_weight:
        result.append(f"an L1 term on the pixels, weight {config.pixel_weight:g}")
    if config.adversarial_weight not in (0, 1e-3):
        result.append(f"adversarial weight {config.adversarial_weight:g} instead of 0.001")
    if (config.batch_size, config.crop_size) != (16, 96):
        result.append(f"batches of {config.batch_size} crops of {config.crop_size} pixels a side instead of 16 of 96")
    if config.lr != 1e-4 or config.schedule == "cosine":
        result.append(
            f"learning rate {config.lr:g}, schedule {config.schedule}, {config.warmup_steps} steps of warm-up"
        )
    if config.discriminator_lr not in (None, config.lr):
        result.append(f"the discriminator's learning rate is {config.discriminator_lr:g}")
    if config.beta2 != 0.999:
        result.append(f"Adam beta2 {config.beta2:g}")
    if config.clip_grad_norm:
        result.append(f"gradient norm clipped to {config.clip_grad_norm:g}")
    if config.ema_decay:
        result.append(f"the weights are an exponential moving average, decay {config.ema_decay:g}")
    if config.freeze_batch_norm:
        result.append("the generator's batch normalisation uses fixed statistics")
    if config.augment:
        result.append("flips and quarter turns")
    if config.rescale_min < 1:
        result.append(f"half of the crops from HR images reduced by a random factor in [{config.rescale_min:g}, 1]")
    return result
