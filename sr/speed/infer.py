"""LR pixels per second of the plain way to run a network and of ours, in turns on one machine."""

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from sr.card import command_line
from sr.errors import SRError
from sr.inference import load_network
from sr.methods import WEIGHTS, load
from sr.models import SRResNet
from sr.speed.machine import describe, matmul_peaks, versions
from sr.speed.runs import ONNX, OURS, Setting, naive, noise, start_cold

PICTURE = (160, 240)  # height and width in LR pixels, of noise: what is in a picture takes no time
TURNS = 4  # of each run, in alternation: a drift of the machine's speed meets all alike


class Stopwatch:
    """Times the turns of a run."""

    def __init__(self, setting: Setting):
        self.setting = setting
        self.cold = start_cold(setting)
        self.enlarge = setting.build()
        self.enlarge(noise(setting.picture))
        self._rates: list[float] = []
        self._pixels, self._cpu_seconds = 0, 0.0

    def turn(self, seconds: float) -> None:
        """Enlarges for about `seconds`, one picture at least."""
        picture = noise(self.setting.picture)
        size = picture[..., 0].size
        pixels, started, cpu_started = 0, time.perf_counter(), time.process_time()
        while not pixels or time.perf_counter() - started < seconds:
            self.enlarge(picture)
            pixels += size
        self._rates.append(pixels / (time.perf_counter() - started))
        self._pixels, self._cpu_seconds = self._pixels + pixels, self._cpu_seconds + time.process_time() - cpu_started
        print(f"{self.setting.name}: {self._rates[-1]:.0f} LR pixels/s", flush=True)

    def result(self, flops: float, peak: float) -> dict[str, Any]:
        """flops: for an LR pixel. peak: GFLOP/s of matrix products in fp32."""
        rate = median(self._rates)
        return {
            "lr_pixels_per_s": rate,
            "turns": self._rates,
            "lr_pixels_per_cpu_s": self._pixels / self._cpu_seconds,
            "gflops": rate * flops / 1e9,
            "share_of_peak": rate * flops / 1e9 / peak,
            **self.cold,
        }


def count_flops(weights: Path) -> float:
    """Floating-point operations for an LR pixel; a multiplication with its addition is two.

    Counted in torch's operators of the plain network: the operations that are needed, not those of a detour.
    """
    side = 24
    enlarge = naive(weights)
    with FlopCounterMode(display=False) as counter:
        enlarge(np.zeros((side, side, 3), np.uint8))
    return counter.get_total_flops() / side**2


def measure(
    method: str, seconds: float, onnx: Sequence[Path] = (), threads: int | None = None, weights: Path | None = None
) -> dict[str, Any]:
    """Times the plain way and all of ours that can be had, for about `seconds` each. Prints as it goes.

    method: of SRResNet's architecture. onnx: files to run beside. weights: instead of the method's.
    Returns {"machine", "matmul_gflops", "threads", "picture", "flops_per_lr_pixel", "runs": {NAME: Stopwatch.result},
    "ratios": {NAME: to naive}, "left_out": {NAME: why}, "command", "versions"}.
    Raises SRError for an unknown method, one that has no weights or another architecture, and unusable ONNX files.
    """
    if weights is None:
        load(method, device="cpu", runtime="torch")  # it says what is wrong with the method
        weights = WEIGHTS / f"{method}.safetensors"
        if not weights.is_file():
            raise SRError(f"{method} is a fixed filter; use a network, such as srgan")
    net = load_network(weights)
    if not isinstance(net, SRResNet):
        raise SRError(f"{method} is not of SRResNet's architecture; use srresnet, srgan or another of them")
    threads = threads or torch.get_num_threads()
    for file in onnx:
        Setting(f"{ONNX}{file}", str(weights), threads, PICTURE).build()(noise(PICTURE))  # what is wrong is said now
    peaks = matmul_peaks(torch.device("cpu"))
    names = ["naive", *OURS, *(f"{ONNX}{file}" for file in onnx)]
    watches, left_out = [], {}
    for name in names:
        try:
            watches.append(Stopwatch(Setting(name, str(weights), threads, PICTURE)))
        except SRError as error:
            if not name.startswith("openvino"):
                raise
            left_out[name] = str(error)
            print(f"{name} is left out: {error}")
    for _ in range(TURNS):
        for watch in watches:
            watch.turn(seconds / TURNS)
    flops = count_flops(weights)
    runs = {watch.setting.name: watch.result(flops, peaks["fp32"]) for watch in watches}
    return {
        "machine": describe(torch.device("cpu")),
        "matmul_gflops": peaks,
        "threads": threads,
        "picture": list(PICTURE),
        "method": method,
        "flops_per_lr_pixel": flops,
        "runs": runs,
        "ratios": {name: run["lr_pixels_per_s"] / runs["naive"]["lr_pixels_per_s"] for name, run in runs.items()},
        "left_out": left_out,
        "command": command_line(),
        "versions": versions(),
    }
