"""The machine under a measurement: what it is, and how fast it multiplies matrices."""

import os
import platform
import time
from typing import Any

import torch

import sr
from sr.checkpoint import hardware
from sr.precision import native_precisions

SIZES = {"cpu": (512, 1024, 2048, 4096), "cuda": (2048, 4096, 8192)}  # of the square matrices; small ones fit caches
REPEATS = 8
CALLS = {"cpu": 1, "cuda": 10}  # in one reading of the clock: a single product is too short for CUDA's events


def describe(device: torch.device) -> dict[str, Any]:
    """Names and sizes of what a measurement on `device` used."""
    result = {"device": hardware(device), "cpu": hardware(torch.device("cpu")), "cores": os.cpu_count()}
    if device.type == "cuda":
        result["gpu_memory_gib"] = round(torch.cuda.get_device_properties(device).total_memory / 2**30, 1)
    return result | {"system": platform.platform()}


def versions() -> dict[str, str | None]:
    return {
        "sr": sr.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "cudnn": str(torch.backends.cudnn.version()) if torch.cuda.is_available() else None,
    }


def fp32_convolution(device: torch.device) -> str:
    """What torch's default settings compute convolutions of fp32 tensors in: "tf32" on recent GPUs, else "fp32"."""
    is_tf32 = device.type == "cuda" and torch.backends.cudnn.allow_tf32 and torch.cuda.is_tf32_supported()
    return "tf32" if is_tf32 else "fp32"


def matmul_peaks(device: torch.device) -> dict[str, float]:
    """GFLOP/s of the best of several matrix products: fp32 (without TF32) and, where it has them, bf16 and tf32."""
    peaks = {"fp32": _matmul_peak(device, torch.float32)}
    if "bf16" in native_precisions(device):
        peaks["bf16"] = _matmul_peak(device, torch.bfloat16)
    if fp32_convolution(device) == "tf32":
        # The older of torch's two switches: its compiler reads this one, and they must not be mixed.
        before, torch.backends.cuda.matmul.allow_tf32 = torch.backends.cuda.matmul.allow_tf32, True
        try:
            peaks["tf32"] = _matmul_peak(device, torch.float32)
        finally:
            torch.backends.cuda.matmul.allow_tf32 = before
    return peaks


def _matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    best = 0.0
    for size in SIZES[device.type]:
        a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        out = a @ b  # the first call chooses an algorithm
        for _ in range(REPEATS):
            best = max(best, 2 * size**3 / _seconds(a, b, out) / 1e9)
    return best


def _seconds(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> float:
    """Of one product."""
    calls = CALLS[a.device.type]
    if a.device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(calls):
            torch.mm(a, b, out=out)
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1e3 / calls
    started = time.perf_counter()
    for _ in range(calls):
        torch.mm(a, b, out=out)
    return (time.perf_counter() - started) / calls
