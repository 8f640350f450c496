"""One training run from its configuration to weights with a model card."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sr.benchmark import BenchmarkSet
from sr.card import build_card
from sr.checkpoint import checkpoints, save_weights
from sr.config import TrainConfig
from sr.data import Images
from sr.distributed import ALONE, Ranks
from sr.errors import SRError
from sr.files import sha256
from sr.inference import load_network
from sr.methods import WEIGHTS
from sr.models import NETWORKS, architecture
from sr.trainer import Trainer
from sr.training import train
from sr.validation import Validation, card_metrics


@dataclass(frozen=True)
class Resources:
    """What a run uses besides its configuration.

    vgg: VGG weights, see `sr.losses.VGGLoss`. benchmark: folder of the benchmark sets `sets`; the first one is measured
    during the training, all at its end.
    """

    images: Images
    device: torch.device
    vgg: Path | None = None
    benchmark: Path | None = None
    sets: tuple[str, ...] = ()


def check_new(out: Path) -> None:
    """Raises SRError when `out` holds a run already."""
    if checkpoints(out):
        raise SRError(f"{out} holds a run already; --resume continues it, another --out starts a new one")


def prepare(config: TrainConfig, resources: Resources, resumed: dict[str, Any] | None = None) -> Trainer:
    """The trainer of a run. Raises SRError for weights to start from that are missing or do not fit."""
    # What a resumed run started from is in its checkpoint.
    initial, parent_card, teacher, origins = None, None, None, {}
    if config.init is not None and not resumed:
        path, network = _fitting(config, "init")
        initial, parent_card = network.state_dict(), json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        origins["init"] = sha256(path)
    if config.teacher is not None:
        path, teacher = _fitting(config, "teacher")
        origins["teacher"] = sha256(path)
        begun = resumed.get("origins", {}) if resumed else {}
        if begun.get("teacher", origins["teacher"]) != origins["teacher"]:
            raise SRError(f"{path} is not the teacher that the run began with; bring that one back, or start a new run")
    return Trainer(config, resources.device, initial, parent_card, resources.vgg, teacher, origins)


def run(
    trainer: Trainer, resources: Resources, out: Path, resumed: dict[str, Any] | None = None, ranks: Ranks = ALONE
) -> tuple[bool, Path]:
    """Trains and writes `NAME.safetensors` with its card into `out`. Returns whether the run is finished, and the path.

    resumed: the checkpoint of `out` to continue from.
    """
    config = trainer.config
    validation = Validation(BenchmarkSet(resources.benchmark, resources.sets[0])) if resources.benchmark else None
    if ranks.is_first:
        out.mkdir(parents=True, exist_ok=True)
        (out / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    finished = train(trainer, resources.images, out, resumed, validation, ranks)
    path = out / f"{config.name}.safetensors"
    if ranks.is_first:
        save_weights(out, config.name, trainer.result(), build_card(trainer, resources.images, {}, ranks.ranks))
        if resources.benchmark and finished:
            metrics = card_metrics(path, resources.benchmark, resources.sets, resources.vgg, trainer.device)
            card = build_card(trainer, resources.images, metrics, ranks.ranks)
            save_weights(out, config.name, trainer.result(), card)
    return finished, path


def _fitting(config: TrainConfig, key: str) -> tuple[Path, torch.nn.Module]:
    """The weights file that a setting names and its network, checked against the configured generator."""
    name = getattr(config, key)
    path = Path(name)
    if path.suffix != ".safetensors":
        path = WEIGHTS / f"{name}.safetensors"
    network = load_network(path)
    with torch.device("meta"):
        wanted = architecture(NETWORKS[config.network].from_settings(config))
    if architecture(network) != wanted:
        raise SRError(f"{key}: {path} has {architecture(network)}, the configuration asks for {wanted}")
    return path, network
