"""The ways to run a network that `sr.speed.infer` compares, each of which also starts cold, in a process of its own.

That process imports this file alone, so that what only the comparison needs does not count as a way's start.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sr.errors import SRError
from sr.inference import load_network
from sr.methods import load
from sr.models import SRResNet

OURS = {
    "torch-fp32": {"runtime": "torch", "precision": "fp32"},
    "openvino-fp32": {"runtime": "openvino", "precision": "fp32"},
    "openvino-int8": {"runtime": "openvino", "precision": "int8"},
}
ONNX = "onnx:"  # and a file

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
            return naive(Path(self.weights))
        if self.name in OURS:
            # Any network method will do: the architecture comes from the card beside the weights.
            return load("srresnet", device="cpu", weights=self.weights, **OURS[self.name]).upscale
        return _onnx(Path(self.name.removeprefix(ONNX)), self.threads)


def naive(weights: Path) -> Enlarge:
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


def use_plain_tail(generator: SRResNet) -> None:
    """Replaces the library's last convolution, which is computed in a faster way on CPUs, by torch's own."""
    tail = nn.Conv2d(generator.channels, 3, 9, padding=4)
    tail.weight, tail.bias = generator.tail_conv.weight, generator.tail_conv.bias
    generator.tail_conv = tail


def noise(size: Sequence[int]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)


def start_cold(setting: Setting) -> dict[str, float | None]:
    """Seconds from starting Python to the first small picture, and the memory that the whole picture takes, in MiB."""
    folders = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    words = [sys.executable, "-m", __name__, json.dumps(asdict(setting)), repr(time.time())]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SRError(f"{setting.name} cannot be run: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def _as_child(setting: Setting, started: float) -> None:
    picture = noise(setting.picture)
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


if __name__ == "__main__":
    _as_child(Setting(**json.loads(sys.argv[1])), float(sys.argv[2]))
