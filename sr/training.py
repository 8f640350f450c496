"""The training loop: batches, log, validation, checkpoints, signals and time budget around `Trainer.train_step`."""

import signal
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from sr.batches import BatchSource
from sr.checkpoint import save_checkpoint
from sr.data import Images
from sr.distributed import ALONE, Ranks
from sr.errors import SRError
from sr.randomness import restore_random_state
from sr.tracking import RunLog
from sr.trainer import Trainer
from sr.validation import Validation


class TrainingDiverged(SRError):  # noqa: N818 - it says what happened
    """A loss or gradient is not finite."""


# What must be finite, in the order in which a step computes it.
CHECKED = {
    "discriminator": "the discriminator loss",
    "grad_norm_d": "the discriminator's gradient",
    "content": "the content loss",
    "pixel": "the pixel loss",
    "chroma": "the chroma loss",
    "colour": "the colour loss",
    "grid": "the grid loss",
    "adversarial": "the adversarial loss",
    "tv": "the total-variation loss",
    "grad_norm_g": "the generator's gradient",
}


class _Meter:
    """What the steps since the last reading logged, left on the device until it is read."""

    def __init__(self):
        self._steps: list[Tensor] = []
        self._names: list[str] = []

    def add(self, logged: dict[str, Tensor]) -> None:
        self._names = list(logged)
        self._steps.append(torch.stack([value.float() for value in logged.values()]))

    def read(self, last_step: int) -> dict[str, float]:
        """Means over the steps up to `last_step`, and forgets them. Raises TrainingDiverged: the step and the term."""
        values = torch.stack(self._steps).cpu()  # the only place where a training waits for the device
        first_step = last_step - len(self._steps) + 1
        self._steps = []
        broken = (~values.isfinite()).any(1).nonzero()
        if len(broken):
            row = int(broken[0])
            named = dict(zip(self._names, values[row].isfinite().tolist(), strict=True))
            bad = [text for name, text in CHECKED.items() if not named.get(name, True)]
            losses = [text for text in bad if text.endswith("loss")]
            raise TrainingDiverged(f"step {first_step + row}: {' and '.join(losses or bad)} is not finite")
        return dict(zip(self._names, values.double().mean(0).tolist(), strict=True))


class _StopRequest:
    """Turns the first SIGTERM or Ctrl-C into a flag, so that the run ends between two steps."""

    def __enter__(self) -> "_StopRequest":
        self.requested = False
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def _note(self, number: int, _frame: object) -> None:
        self.requested = True
        signal.signal(number, self._before[number])

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def train(
    trainer: Trainer,
    images: Images,
    out: Path,
    resumed: dict[str, Any] | None = None,
    validation: Validation | None = None,
    ranks: Ranks = ALONE,
) -> bool:
    """Runs until the iterations or the time budget are used up. Returns False when a signal ended it before.

    out: gets checkpoints, `log.csv`, TensorBoard's files and, with a validation, pictures.
    resumed: the checkpoint of `out` to continue from.
    validation: called every `validate_minutes` and at the end; its time does not count as the run's.
    Raises TrainingDiverged when a loss or gradient is not finite; the checkpoints from before stay.
    """
    config = trainer.config
    if resumed:
        trainer.load_state_dict(resumed)
        restore_random_state(resumed["random"])
    last_step = config.iterations if config.iterations is not None else 2**62
    source = BatchSource(images, config, trainer.device, trainer.step, last_step, ranks.rank, ranks.ranks)
    log = RunLog(out, trainer.step if resumed else None) if ranks.is_first else nullcontext()
    bar = tqdm(
        total=config.iterations,
        initial=trainer.step,
        unit="step",
        dynamic_ncols=True,
        mininterval=0.5 if sys.stderr.isatty() else 30,  # seconds; a file would fill up
        disable=not ranks.is_first,
    )
    meter = _Meter()
    since = dict.fromkeys(("log", "checkpoint", "validation"), trainer.seconds)
    logged_step, waited = trainer.step, 0.0

    def is_due(what: str) -> bool:
        return trainer.seconds - since[what] >= 60 * getattr(config, f"{what}_minutes")

    with log, bar, _StopRequest() as stop:
        batches = iter(source)
        started = time.monotonic() - trainer.seconds
        while trainer.step < last_step:
            asked = time.monotonic()
            lr, hr = next(batches)
            waited += time.monotonic() - asked
            meter.add(trainer.train_step(lr, hr))
            trainer.seconds, stopping = ranks.agree(time.monotonic() - started, stop.requested)
            bar.update()
            ending = trainer.share_done >= 1 or stopping
            saves = ending or is_due("checkpoint")
            validates = validation is not None and (trainer.share_done >= 1 or is_due("validation"))
            if not (saves or validates or trainer.step % config.log_steps == 0):
                continue
            means = meter.read(trainer.step)
            took = max(trainer.seconds - since["log"], 1e-9)
            means["patches_per_s"] = config.batch_size * (trainer.step - logged_step) / took
            means["data_wait"] = waited / took
            logged_step, since["log"], waited = trainer.step, trainer.seconds, 0.0
            if ranks.is_first:
                log.scalars(_row(trainer) | means)
                left = trainer.seconds / max(trainer.share_done, 1e-9) - trainer.seconds
                rate = f"{means['patches_per_s']:.1f} patches/s, {left / 60:.0f} min left"
                bar.set_postfix_str(f"loss {means['generator']:.4g}, {rate}")
            if validates:
                if ranks.is_first:
                    figures, crops = validation.measure(trainer)
                    log.scalars(_row(trainer) | figures)
                    log.images(trainer.step, *crops)
                    said = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
                    bar.write(f"step {trainer.step}: {said}")
                started = time.monotonic() - trainer.seconds
                since["validation"] = trainer.seconds
            if saves:
                if ranks.is_first:
                    save_checkpoint(out, trainer.state_dict(), config.keep_checkpoints)
                since["checkpoint"] = trainer.seconds
            if ending:
                break
    return trainer.share_done >= 1


def _row(trainer: Trainer) -> dict[str, float]:
    config = trainer.config
    return {
        "step": trainer.step,
        "patches": trainer.step * config.batch_size,
        "seconds": round(trainer.seconds, 1),
        "lr": config.lr * trainer.lr_factor(),
    }
