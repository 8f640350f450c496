"""Model cards: what a weights file is, what made it and how good it measured."""

import json
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
from sr.departures import PAPERS, departures
from sr.models import architecture
from sr.trainer import Trainer

AMENDMENTS = ("blend", "centred")
"""The keys under which a card has what was made of the weights without training (`amended_card`)."""


def command_line() -> str:
    """This process's command, with $SR_DATA and ~ in the place of the folders that they stand for."""
    script = Path(sys.argv[0])
    program = ["-m", script.parent.name] if script.name == "__main__.py" else [script.name]
    processes = os.environ.get("LOCAL_WORLD_SIZE")  # torchrun sets it
    launcher = ["torchrun", "--nproc-per-node", processes] if processes else ["python"]
    return _portable(shlex.join([*launcher, *program, *sys.argv[1:]]))


def _portable(text: str) -> str:
    """Without this machine's folders: $SR_DATA and ~ in their place."""
    data = os.environ.get("SR_DATA")
    if data:
        text = text.replace(data.rstrip("/"), "$SR_DATA")
    return text.replace(str(Path.home()), "~")


def build_card(trainer: Trainer, images: Images, metrics: dict[str, Any], ranks: int = 1) -> dict[str, Any]:
    """The card of the weights that `trainer` delivers; the training stages of the weights it started from come first.

    What was made of those weights between two trainings is in the later stage, under "started_from".

    metrics: protocol -> set -> figures. ranks: processes that trained together.
    """
    config = trainer.config
    named = {key: path for key in ("init", "teacher") if (path := getattr(config, key)) is not None}
    stage = {
        "command": command_line(),
        "loss": _describe_loss(trainer),
        "departures": departures(trainer),
        "steps": trainer.step,
        "patches": trainer.step * config.batch_size,
        "seconds": round(trainer.seconds),
        "hardware": f"{ranks} x {hardware(trainer.device)}" if ranks > 1 else hardware(trainer.device),
        "precision": trainer.precision,
        "data": {"images": len(images), "megapixels": round(images.pixels / 1e6), "folders": images.counts},
        "config": asdict(config) | {key: _portable(path) for key, path in named.items()},
        "sha256": trainer.origins,
        "versions": {"sr": sr.__version__, "torch": torch.__version__},
    }
    parent = trainer.parent_card or {}
    amended = {key: parent[key] for key in AMENDMENTS if key in parent}
    stage |= {"started_from": amended} if amended else {}
    stages = [*parent.get("training", []), stage]
    network = architecture(trainer.generator)
    luma = trainer.generator.is_luma
    return {
        "name": config.name,
        "paper": PAPERS[network["name"]],
        "architecture": network,
        "input": "luma in [0, 1], (N, 1, H, W)" if luma else "RGB in [0, 1], (N, 3, H, W)",
        "output": f"{'luma in [0, 1], (N, 1' if luma else 'RGB in [-1, 1], (N, 3'}, 4H, 4W), not clipped",
        "degradation": _describe_degradation(config),
        "departures": list(dict.fromkeys([*parent.get("departures", []), *stage["departures"]])),
        "training": stages,
        "patches_in_all": sum(stage["patches"] for stage in stages),
        "seconds_in_all": sum(stage["seconds"] for stage in stages),
        "metrics": metrics,
    }


def amended_card(weights: Path, key: str, facts: dict[str, Any], departure: str) -> dict[str, Any]:
    """The card beside `weights` for what was made of them without training.

    key, facts: what was done, under one of AMENDMENTS; the command joins them. departure: the phrase for it.
    """
    card = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    card[key] = {"command": command_line()} | facts
    card["departures"] = list(dict.fromkeys([*card.get("departures", []), departure]))
    card["metrics"] = {}  # those of the weights before
    return card


def _describe_loss(trainer: Trainer) -> str:
    names = {"content": trainer.config.content, "pixel": "l1"}
    parts = []
    for term, (weight, loss) in trainer.terms.items():
        name = getattr(loss, "description", names.get(term, term))
        parts.append(f"{weight:g} * {name}")
    if trainer.config.weight_decay:
        parts.append(f"{trainer.config.weight_decay / 2:g} * squares of the weights")
    return " + ".join(parts)


def _describe_degradation(config: TrainConfig) -> str:
    if config.degradation == "bicubic":
        return f"MATLAB's bicubic imresize x1/{config.scale} on uint8"
    return f"Gaussian filter and every {config.scale}th pixel, rounded to uint8"
