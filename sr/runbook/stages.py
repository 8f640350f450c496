"""A whole training in one command and one time budget: SRResNet, SRGAN from it, figures and pictures of both."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch

from sr.benchmark import BenchmarkSet
from sr.blending import blend
from sr.checkpoint import checkpoints, load_checkpoint, save_weights
from sr.config import TrainConfig, load_config
from sr.crops import MARGIN
from sr.data import open_images
from sr.distributed import is_launched
from sr.errors import SRError
from sr.losses import VGGLoss
from sr.run import Resources, prepare, run
from sr.runbook.book import Book, Order
from sr.runbook.preflight import check
from sr.runbook.report import collect, write_report
from sr.runbook.throughput import Throughput
from sr.training import TrainingDiverged


@dataclass(frozen=True)
class Stage:
    """One training. gpu, cpu: its presets. share: of the minutes. network: whose speed it has."""

    name: str
    gpu: str
    cpu: str
    share: float
    network: str


STAGES = (
    Stage("srresnet", "srresnet-mse-budget", "srresnet-mse-cpu", 0.60, "srresnet"),
    Stage("finetuned", "srresnet-mse-finetune", "srresnet-mse-finetune-cpu", 0.12, "srresnet"),
    Stage("srgan", "srgan-vgg54-budget", "srgan-vgg54-cpu", 0.23, "srgan"),
)
RESERVE = 0.05  # of the minutes, at least, for the evaluation at the end
VALIDATING = 0.1  # of a stage's time, at most
BLEND = 0.8  # SRGAN's share of its weights' blend with SRResNet's


def run_book(order: Order) -> bool:
    """Trains SRResNet and SRGAN and delivers them in OUT/deliver (`sr.runbook.report`). Returns False when interrupted.

    SIGTERM and Ctrl-C interrupt it; the same order again goes on. Every stage's schedule finishes inside the minutes.
    A stage whose training diverges is left out, and the summary says so; without the first one there is nothing to
    deliver: TrainingDiverged. Raises SRError for what it cannot use, before it trains.
    """
    given = sorted({"name", "minutes", "iterations"} & order.settings.keys())
    if given:
        raise SRError(f"a run-book decides {', '.join(given)} itself; leave it out of the settings")
    if is_launched():
        raise SRError("a run-book trains in one process; start it without torchrun")
    if order.minutes <= 0:
        raise SRError(f"a run-book needs more than {order.minutes:g} minutes")
    for name in order.sets:
        BenchmarkSet(order.benchmark, name)
    configs = {stage.name: _config(stage, order) for stage in STAGES}
    book = Book(order)
    foreign = [order.out / name for name in configs if checkpoints(order.out / name)]
    if foreign and not book.is_planned:
        raise SRError(f"{foreign[0]} holds a run that is no run-book's; give the run-book another folder")
    if not book.state["finished"]:
        with _sigterm_as_ctrl_c():
            try:
                book.state["finished"] = _work(book, configs)
            except KeyboardInterrupt:
                print()
            if book.is_planned:
                book.save()
    if book.state["finished"]:
        book.say(f"finished: {order.out / 'deliver' / 'summary.md'}")
    else:
        book.say("interrupted; type the same command again to go on")
    return book.state["finished"]


def _config(stage: Stage, order: Order) -> TrainConfig:
    preset = stage.gpu if order.device.type == "cuda" else stage.cpu
    return load_config(preset, {"checkpoint_minutes": 1.0} | order.settings)


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Outside of trainings, which catch both, SIGTERM raises KeyboardInterrupt, too."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _work(book: Book, configs: dict[str, TrainConfig]) -> bool:
    """Does what is not done yet. Returns whether that is all."""
    order = book.order
    vgg54 = VGGLoss("vgg54", order.vgg).to(order.device)
    images = open_images(order.data, min_side=max(config.crop_size for config in configs.values()) + 2 * MARGIN)
    resources = Resources(images, order.device, order.vgg, order.benchmark, tuple(order.sets))
    if not book.is_planned:
        networks = {name: configs[name] for name in ("srresnet", "srgan")}
        found = check(networks, resources, vgg54, order.minutes, book.say)
        book.state |= {"check": found, "deadlines": _deadlines(order.minutes, book.seconds, found)}
        book.save()
    results: dict[str, Path] = {}  # the network's name -> its weights
    for stage in STAGES:
        config = configs[stage.name]
        if "srresnet" in results:
            config = replace(config, init=str(results["srresnet"]))
        record = book.state["stages"].setdefault(stage.name, {"begun": round(book.seconds, 1)})
        if "outcome" not in record and not _train(book, stage, config, resources):
            return False
        if record["outcome"] == "finished":
            weights = order.out / stage.name / f"{config.name}.safetensors"
            if config.is_gan:
                blended = blend(results["srresnet"], weights, BLEND)
                weights = save_weights(order.out / "blended", config.name, *blended)
            results[config.name] = weights
            collect(order.out, results)
    book.say("measuring the results")
    write_report(book, results, resources, vgg54)
    return True


def _deadlines(minutes: float, begun: float, found: dict[str, Any]) -> dict[str, float]:
    """When every stage is to end, in seconds of the run-book: what the check and the evaluation leave, shared out."""
    # The evaluation at the end is of two networks, the check's was of three methods: what is over is for the pictures.
    training = 60 * minutes - max(RESERVE * 60 * minutes, found["evaluation_seconds"]) - begun
    shares = list(accumulate(stage.share for stage in STAGES))
    return {
        stage.name: round(begun + training * share / shares[-1], 1) for stage, share in zip(STAGES, shares, strict=True)
    }


def _train(book: Book, stage: Stage, config: TrainConfig, resources: Resources) -> bool:
    """Runs or resumes a stage up to its deadline and records its outcome. Returns whether it ended."""
    folder, record, found = book.order.out / stage.name, book.state["stages"][stage.name], book.state["check"]
    resumed = load_checkpoint(folder) if checkpoints(folder) else None
    trained = resumed["seconds"] if resumed else 0.0
    book.count_at_least(record["begun"] + trained)
    book.save()
    left = book.state["deadlines"][stage.name] - book.seconds
    # A training does not count the time of its validations; its card takes one more.
    validations = min(8, int(VALIDATING * left / found["validation_seconds"]))
    left -= (validations + 1) * found["validation_seconds"] if validations else 0
    left = max(1.0, left)  # a stage that comes too late still finishes its schedule
    minutes = (trained + left) / 60
    if "compile" not in book.order.settings:
        config = replace(config, compile=Throughput(**found["throughput"][stage.network]).choice(left))
    config = replace(config, minutes=minutes, iterations=None, validation_minutes=minutes / max(1, validations))
    torch.compiler.reset()  # what was compiled for another stage would be made general, and slower
    trainer = prepare(config, resources, resumed)
    book.say(f"{stage.name}: {left:.0f} s, compile {config.compile}")
    # The first set is enough here, and the features are compared at the end.
    benchmark = resources.benchmark if validations else None
    resources = replace(resources, vgg=None, benchmark=benchmark, sets=resources.sets[:1])
    outcome = "finished"
    try:
        ended, _ = run(trainer, resources, folder, resumed)
    except TrainingDiverged as error:
        if stage is STAGES[0]:
            raise
        ended, outcome = True, f"diverged at {error}"
        book.say(f"{stage.name} {outcome}; going on without it")
    if ended:
        record["outcome"] = outcome
        book.save()
    return ended
