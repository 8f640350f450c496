"""How fast a device trains, found out in seconds: patches and operations per second, and whether compiling pays."""

import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from sr.batches import BatchSource
from sr.config import TrainConfig
from sr.data import Images
from sr.replay import WARM_UP
from sr.trainer import Trainer


@dataclass(frozen=True)
class Throughput:
    """Of one configuration on one device.

    plain, compiled: patches/s without and with torch.compile, the latter None where it was not tried or does not work.
    gflop_per_patch: operations of a training step, a multiplication and an addition counting as two.
    compile_seconds: what the first compiled step took. complaint: why compiling did not work.
    """

    plain: float
    gflop_per_patch: float
    compiled: float | None = None
    compile_seconds: float = 0.0
    complaint: str | None = None

    @property
    def tflops(self) -> float:
        """TFLOP/s of the faster way."""
        return max(self.plain, self.compiled or 0) * self.gflop_per_patch / 1000

    def __str__(self) -> str:
        text = f"{self.plain:.1f} patches/s"
        if self.compiled is not None:
            text += f", compiled {self.compiled:.1f} after {self.compile_seconds:.0f} s of compiling"
        if self.complaint is not None:
            text += f"; torch.compile does not work here, training goes without it ({self.complaint})"
        return f"{text}; {self.tflops:.3g} TFLOP/s"

    def choice(self, seconds: float) -> str:
        """`compile` for a training of so many seconds: whether a compiled one sees more patches, compiling included."""
        pays = self.compiled is not None and self.compiled * (seconds - self.compile_seconds) > self.plain * seconds
        return "always" if pays else "never"


def measure(config: TrainConfig, images: Images, device: torch.device, vgg: Path | None, seconds: float) -> Throughput:
    """Trains new networks for about `seconds`, on CUDA once more with torch.compile, and forgets them."""
    plain, _, flops = _train(replace(config, compile="never"), images, device, vgg, seconds)
    found = Throughput(plain, flops / config.batch_size / 1e9)
    if device.type != "cuda" or config.compile == "never":
        return found
    try:
        compiled, first, _ = _train(replace(config, compile="always"), images, device, vgg, seconds)
    except Exception as error:  # noqa: BLE001 - compilers, linkers and drivers raise anything
        return replace(found, complaint=f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")
    finally:
        torch.compiler.reset()
    return replace(found, compiled=compiled, compile_seconds=first)


def _train(
    config: TrainConfig, images: Images, device: torch.device, vgg: Path | None, seconds: float
) -> tuple[float, float, int]:
    """Patches/s, seconds of the first step, its operations (those of compiled code are not counted)."""
    trainer = Trainer(config, device, vgg_weights=vgg)
    batches = iter(BatchSource(images, config, device, 0, 2**62))
    started = time.monotonic()
    with FlopCounterMode(display=False) if config.compile == "never" else nullcontext() as counter:
        float(trainer.train_step(*next(batches))["generator"])  # float waits for the device
    first = time.monotonic() - started
    for _ in range(WARM_UP if device.type == "cuda" else 1):  # a CUDA graph is recorded in the last one
        float(trainer.train_step(*next(batches))["generator"])
    begun, started = trainer.step, time.monotonic()
    while trainer.step == begun or time.monotonic() - started < seconds:
        logged = trainer.train_step(*next(batches))
        if trainer.step % 10 == 0:
            float(logged["generator"])  # the host runs ahead of the device, as in a training, but not without end
    float(logged["generator"])
    rate = config.batch_size * (trainer.step - begun) / (time.monotonic() - started)
    return rate, first, counter.get_total_flops() if counter else 0
