"""Patches per second of the plain training loop and of ours, in turns on one machine."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from sr.batches import BatchSource
from sr.card import command_line
from sr.config import TrainConfig, load_config
from sr.crops import MARGIN
from sr.data import ImageStore
from sr.errors import SRError
from sr.models import SRResNet
from sr.pack import is_pack
from sr.replay import WARM_UP
from sr.run import Resources, prepare
from sr.speed.machine import describe, fp32_convolution, matmul_peaks, versions
from sr.speed.plain import PlainLoop
from sr.speed.runs import use_plain_tail

TURNS = 4  # of each loop, in alternation: a drift of the machine's speed meets all alike
WARM_UP_STEPS = WARM_UP + 1  # a CUDA graph is recorded in the last one


class Loop(Protocol):
    """A training without its end: `step` on each of `batches`. See `PlainLoop` and `OurLoop`."""

    config: TrainConfig
    generator: SRResNet
    precision: str  # of the convolutions
    batches: Any
    bytes_to_device: int
    prefetched: int

    def __init__(self, config: TrainConfig, images: ImageStore, device: torch.device, vgg: Path | None): ...

    def step(self, lr: Tensor, hr: Tensor) -> Any: ...


class OurLoop:
    """What `train.py` runs between two lines of its log."""

    def __init__(self, config: TrainConfig, images: ImageStore, device: torch.device, vgg: Path | None):
        self.config = config
        self._trainer = prepare(config, Resources(images, device, vgg))
        self.precision = "bf16" if self._trainer.precision == "bf16" else fp32_convolution(device)
        self.generator = self._trainer.generator
        self._source = BatchSource(images, config, device, 0, 2**62)
        self.batches = iter(self._source)
        self.prefetched = 4 * config.workers

    @property
    def bytes_to_device(self) -> int:
        return self._source.bytes_to_device

    def step(self, lr: Tensor, hr: Tensor) -> Tensor:
        logged = self._trainer.train_step(lr, hr)
        self.logged = torch.stack([value.float() for value in logged.values()])  # the training keeps this for its log
        return logged["generator"]


@dataclass(frozen=True)
class Setting:
    """What a loop is built from."""

    loop: type[Loop]
    config: TrainConfig
    images: ImageStore
    device: torch.device
    vgg: Path | None

    def build(self) -> Loop:
        return self.loop(self.config, self.images, self.device, self.vgg)


def count_flops(setting: Setting) -> int:
    """Floating-point operations of one step forward and backward, per patch; a multiplication with its addition is two.

    Counted in torch's operators on an eager fp32 copy on the CPU with a batch of one: matrix products and convolutions,
    as a direct convolution does them.
    """
    config = replace(setting.config, batch_size=1, precision="fp32", compile="never", workers=0)
    loop = replace(setting, config=config, device=torch.device("cpu")).build()
    use_plain_tail(loop.generator)  # the operations that are needed, not those of a detour
    lr, hr = next(loop.batches)
    with FlopCounterMode(display=False) as counter:
        loop.step(lr, hr)
    return counter.get_total_flops()


class Stopwatch:
    """Builds a loop, warms it up and times its turns."""

    def __init__(self, name: str, setting: Setting, flops_per_patch: int):
        self.name, self.flops_per_patch, self._device = name, flops_per_patch, setting.device
        self._rates: list[float] = []
        self._steps, self._seconds, self._waited, self._bytes, self._peak = 0, 0.0, 0.0, 0, 0
        before = self._allocated()
        started = time.perf_counter()
        self._loop = setting.build()
        for _ in range(WARM_UP_STEPS):
            self._loop.step(*next(self._loop.batches))
        self._synchronize()
        self._cold_start_s = time.perf_counter() - started
        self._own = self._allocated() - before  # networks, optimizers, images

    def turn(self, seconds: float) -> None:
        """Trains for about `seconds`, one step at least."""
        for _ in range(self._loop.prefetched):  # made while the other loops ran
            self._loop.step(*next(self._loop.batches))
        self._synchronize()
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        held, first_byte = self._allocated(), self._loop.bytes_to_device
        steps, waited = 0, 0.0
        started = time.perf_counter()
        while not steps or time.perf_counter() - started < seconds:
            asked = time.perf_counter()
            lr, hr = next(self._loop.batches)
            waited += time.perf_counter() - asked
            loss = self._loop.step(lr, hr)
            steps += 1
        self._synchronize()
        took = time.perf_counter() - started
        self._rates.append(steps * self._loop.config.batch_size / took)
        self._steps, self._seconds, self._waited = self._steps + steps, self._seconds + took, self._waited + waited
        self._bytes += self._loop.bytes_to_device - first_byte
        if self._device.type == "cuda":
            self._peak = max(self._peak, torch.cuda.max_memory_allocated(self._device) - held + self._own)
        print(f"{self.name}: {self._rates[-1]:.2f} patches/s, {steps} steps, loss {float(loss):.4g}", flush=True)

    def result(self, peaks: dict[str, float]) -> dict[str, Any]:
        """peaks: GFLOP/s of matrix products by precision."""
        rate, precision = median(self._rates), self._loop.precision
        tflops = rate * self.flops_per_patch / 1e12
        batch_size = self._loop.config.batch_size
        return {
            "patches_per_s": rate,
            "turns": self._rates,
            "tflops": tflops,
            "share_of_peak": tflops * 1e3 / peaks[precision],
            "bytes_to_device_per_patch": self._bytes / (self._steps * batch_size),
            "data_wait": self._waited / self._seconds,
            "batch_size": batch_size,
            "crop_size": self._loop.config.crop_size,
            "precision": precision,
            "flops_per_patch": self.flops_per_patch,
            "cold_start_s": self._cold_start_s,
            "peak_memory_mib": self._peak / 2**20 if self._device.type == "cuda" else None,
        }

    def _allocated(self) -> int:
        return torch.cuda.memory_allocated(self._device) if self._device.type == "cuda" else 0

    def _synchronize(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def measure(
    folders: list[Path],
    device: torch.device,
    seconds: float,
    vgg: Path | None = None,
    overrides: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Times the plain loop and ours on the images in `folders`, for about `seconds` each. Prints as it goes.

    vgg: VGG weights (`sr.losses.VGGLoss`); with them SRGAN is timed as well. overrides: of every run's configuration.
    Returns {"machine", "matmul_gflops", "runs": {NAME: Stopwatch.result}, "ratio": ours to plain, "command",
    "versions"}, with a vgg "ratio_srgan" too.
    Raises SRError when there are no such folders, no images of sufficient size, or fewer than crops in a batch.
    """
    packs = [str(folder) for folder in folders if is_pack(folder)]
    if packs:
        raise SRError(f"{packs[0]} is a pack; give folders of image files, which the plain loop decodes at each use")
    groups = _groups("srresnet-mse", "", device, overrides or {})
    if vgg:
        groups += _groups("srgan-vgg54", "-srgan", device, overrides or {})
    configs = [config for group in groups for _, config in group.values()]
    images = ImageStore(folders, max(config.crop_size for config in configs) + 2 * MARGIN)
    for config in configs:
        BatchSource(images, config, device, 0, 1)  # too few images are an error now, not after minutes
    settings = [
        {name: Setting(loop, config, images, device, vgg) for name, (loop, config) in group.items()} for group in groups
    ]
    flops = {name: count_flops(setting) for group in settings for name, setting in group.items()}
    peaks = matmul_peaks(device)
    runs: dict[str, dict[str, Any]] = {}
    for group in settings:
        torch.compiler.reset()  # it would make code for shapes of every size once it has seen two
        watches = [Stopwatch(name, setting, flops[name]) for name, setting in group.items()]
        for _ in range(TURNS):
            for watch in watches:
                watch.turn(seconds / TURNS)
        runs |= {watch.name: watch.result(peaks) for watch in watches}
    ratios = {"ratio": runs["ours"]["patches_per_s"] / runs["plain"]["patches_per_s"]}
    if vgg:
        ratios["ratio_srgan"] = runs["ours-srgan"]["patches_per_s"] / runs["plain-srgan"]["patches_per_s"]
    report = {"machine": describe(device), "matmul_gflops": peaks, "runs": runs}
    return report | ratios | {"command": command_line(), "versions": versions()}


def _groups(
    paper: str, suffix: str, device: torch.device, overrides: dict[str, Any]
) -> list[dict[str, tuple[type[Loop], TrainConfig]]]:
    """Loop and configuration of the runs: the plain loop with the paper's preset, ours with the short training's.

    Those of a group take turns; the last group, on CUDA alone, is ours with its own batch and crop size.
    """
    plain = load_config(paper, overrides)
    short = f"{paper}-{'budget' if device.type == 'cuda' else 'cpu'}"
    ours = load_config(short, overrides | {"batch_size": plain.batch_size, "crop_size": plain.crop_size})
    print(f"# ours{suffix}: preset {short} with the plain loop's batch and crop size\n{ours.to_yaml()}")
    groups: list[dict[str, tuple[type[Loop], TrainConfig]]] = [
        {f"plain{suffix}": (PlainLoop, plain), f"ours{suffix}": (OurLoop, ours)}
    ]
    if device.type == "cuda":
        groups.append({f"ours{suffix}-budget": (OurLoop, load_config(short, overrides))})
    return groups
