"""The floating-point precisions that a device multiplies natively, for inference and for training."""

import torch

from sr.errors import SRError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def native_precisions(device: torch.device) -> list[str]:
    """fp32, and the half precisions that torch has instructions for: both on CUDA, bf16 on some CPUs.

    Others are emulated: an SRResNet training step in bf16 takes nine times fp32's time on a CPU with AVX2 alone.
    """
    native = ["fp32"]
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        native += ["fp16"] * (capability >= (7, 0)) + ["bf16"] * (capability >= (8, 0))
    elif device.type == "cpu":
        features = torch.cpu.get_capabilities()
        native += ["bf16"] * any(features.get(feature, False) for feature in ("avx512_bf16", "amx_bf16", "sve_bf16"))
    return native


def resolve_precision(name: str, device: torch.device) -> str:
    """The precision to enlarge in for "auto", "fp32", "bf16" or "fp16" on a device in torch.

    auto takes fp16 on CUDA, which differs from fp32 by at most one of 255 levels (bf16: two), and fp32 elsewhere.
    Raises SRError for another name or a precision that the device lacks.
    """
    native = native_precisions(device)
    if name == "auto":
        return "fp16" if "fp16" in native else "fp32"
    if name not in DTYPES:
        raise SRError(f"unknown precision {name!r}; use auto, {', '.join(DTYPES)} or int8")
    if name not in native:
        raise SRError(f"device {device} has no fast {name}; use {' or '.join(['auto', *native])}")
    return name


def resolve_training_precision(name: str, device: torch.device) -> str:
    """The precision to train in for "auto", "fp32" or "bf16": auto takes bf16 where the device has it, else fp32.

    Raises SRError for bf16 on a device that lacks it.
    """
    native = native_precisions(device)
    if name == "auto":
        return "bf16" if "bf16" in native else "fp32"
    if name not in native:
        raise SRError(f"precision is {name}, which device {device} only emulates, slowly; set precision=auto")
    return name
