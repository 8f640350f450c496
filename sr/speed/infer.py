"""LR pixels per second of the plain way to run a network and of ours, in turns on one machine."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
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
from sr.speed.plain import use_plain_tail

PICTURE = (160, 240)  # height and width in LR pixels, of noise: what is in a picture takes no time
OURS = {
    "torch-fp32": {"runtime": "torch", "precision": "fp32"},
    "openvino-fp32": {"runtime": "openvino", "precision": "fp32"},
    "openvino-int8": {"runtime": "openvino", "precision": "int8"},
}
ONNX = "onnx:"  # and a file
TURNS = 4  # of each run, in alternation: a drift of the machine's speed meets all alike

Enlarge = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Setting:
    """A run: "naive", one of `OURS`, or `ONNX` and a file.

    weights: of SRResNet's architecture. picture: height and width in LR pixels.
    """

    name: str
    weights: str
    threads: int
    picture: Sequence[int]

    def build(self) -> Enlarge:
        """uint8 RGB (H, W, 3) -> uint8 RGB, enlarged, on the CPU. Raises SRError when it cannot be had."""
        torch.set_num_threads(self.threads)
        if self.name == "naive":
            return _naive(Path(self.weights))
        if self.name in OURS:
            # Any network method will do: the architecture comes from the card beside the weights.
            return load("srresnet", device="cpu", weights=self.weights, **OURS[self.name]).upscale
        return _onnx(Path(self.name.removeprefix(ONNX)), self.threads)


def _naive(weights: Path) -> Enlarge:
    """As most reproductions run it: fp32, NCHW, batch normalisations and all convolutions as they are, at once."""
    net = load_network(weights)
    use_plain_tail(net)

    @torch.no_grad()
    def enlarge(picture: np.ndarray) -> np.ndarray:
        lr = torch.from_numpy(picture).permute(2, 0, 1)[None].contiguous().float() / 255
        sr = net(lr)[0].clamp(-1, 1)
        return ((sr + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()

    return enlarge


def _onnx(file: Path, threads: int) -> Enlarge:
    """The whole picture at once in ONNX Runtime."""
    try:
        import onnxruntime
    except ImportError as error:
        raise SRError("ONNX Runtime is not installed (pip install onnxruntime)") from error
    if not file.is_file():
        raise SRError(f"there is no ONNX file {file}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise SRError(f"ONNX Runtime cannot read {file}: {error}") from error
    (entry,) = session.get_inputs()[:1]

    def enlarge(picture: np.ndarray) -> np.ndarray:
        lr = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32) / 255
        try:
            sr = session.run(None, {entry.name: lr})[0]
        except Exception as error:
            raise SRError(f"{file} does not take RGB as float32 {lr.shape}: {error}") from error
        return (sr[0].clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)

    return enlarge


class Stopwatch:
    """Times the turns of a run."""

    def __init__(self, setting: Setting):
        self.setting = setting
        self.cold = _start_cold(setting)
        self.enlarge = setting.build()
        self.enlarge(_noise(setting.picture))
        self._rates: list[float] = []
        self._pixels, self._cpu_seconds = 0, 0.0

    def turn(self, seconds: float) -> None:
        """Enlarges for about `seconds`, one picture at least."""
        picture = _noise(self.setting.picture)
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


def _noise(size: Sequence[int]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)


def _start_cold(setting: Setting) -> dict[str, float | None]:
    """Seconds from starting Python to the first small picture, and the memory that the whole picture takes, in MiB."""
    folders = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    words = [sys.executable, "-m", __name__, json.dumps(asdict(setting)), repr(time.time())]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SRError(f"{setting.name} cannot be run: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def _as_child(setting: Setting, started: float) -> None:
    picture = _noise(setting.picture)
    try:
        enlarge = setting.build()
        enlarge(np.ascontiguousarray(picture[:32, :32]))
        cold = time.time() - started
        enlarge(picture)
    except SRError as error:
        sys.exit(str(error))
    print(json.dumps({"cold_start_s": cold, "peak_memory_mib": _peak_memory()}))


def _peak_memory() -> float | None:
    """Of this process in MiB; None on Windows."""
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage counts the parent's memory, too, on Linux
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) / 2**10
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS


def count_flops(weights: Path) -> float:
    """Floating-point operations for an LR pixel; a multiplication with its addition is two.

    Counted in torch's operators of the plain network: the operations that are needed, not those of a detour.
    """
    side = 24
    enlarge = _naive(weights)
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
        Setting(f"{ONNX}{file}", str(weights), threads, PICTURE).build()(_noise(PICTURE))  # what is wrong is said now
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


if __name__ == "__main__":
    _as_child(Setting(**json.loads(sys.argv[1])), float(sys.argv[2]))
