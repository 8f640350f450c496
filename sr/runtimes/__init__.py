"""What computes a network: torch on any device or OpenVINO on a CPU, and which of them `auto` takes."""

from pathlib import Path

import torch
from torch import nn

from sr.errors import SRError
from sr.inference import engine, resolve_device
from sr.methods import Engine
from sr.models import SRResNet
from sr.precision import resolve_precision
from sr.runtimes import int8
from sr.runtimes.checked import Checked, say_once

REMEDY = "use runtime torch, with another precision than int8"


def choose(net: nn.Module, weights: Path, device: str, precision: str, runtime: str) -> Engine:
    """The engine for a network whose weights are in the file `weights`.

    Torch computes every network on every device; OpenVINO computes SRResNet on the CPU, in fp32 and, where there are
    settings beside the weights (`sr.runtimes.int8`), in int8. auto takes OpenVINO where it can, and int8 where it loses
    little and the CPU is of a kind that is faster with it. When OpenVINO is missing, fails, or computes another first
    window than torch in fp32 (`sr.runtimes.checked`), auto takes torch and warns once.
    Raises SRError for an unknown device or precision, and for what is asked for by name and cannot be had.
    """
    place = resolve_device(device)
    if precision == "int8" and runtime == "torch":
        raise SRError("torch computes in no int8; use runtime auto or openvino, or another precision")
    for_torch = resolve_precision("auto" if precision == "int8" else precision, place)
    by_name = runtime == "openvino" or precision == "int8"
    obstacle = _obstacle(net, place, precision)
    if obstacle and by_name:
        raise SRError(f"{obstacle}; {REMEDY}")
    if obstacle or runtime == "torch":
        return engine(net, place, for_torch)
    settings = {"auto": _worthwhile_int8, "int8": int8.read, "fp32": lambda _: None}[precision](weights)
    try:
        from sr.runtimes.openvino import OpenVINONetwork

        fast = OpenVINONetwork(net, settings.ranges, settings.offset) if settings else OpenVINONetwork(net)
    except (ImportError, RuntimeError) as error:
        fault = "is not installed (pip install openvino)" if isinstance(error, ImportError) else f"failed ({error})"
        if by_name:
            raise SRError(f"OpenVINO {fault}; {REMEDY}") from error
        say_once(f"OpenVINO {fault}: networks are computed by torch, which is slower")
        return engine(net, place, for_torch)
    return fast if by_name else Checked(fast, engine(net, place, for_torch))


def _obstacle(net: nn.Module, place: torch.device, precision: str) -> str:
    """Why OpenVINO is not to compute this, or nothing."""
    if place.type != "cpu":
        return f"OpenVINO is used on the CPU alone, not on {place}"
    if not isinstance(net, SRResNet):
        return f"OpenVINO is used for SRResNet's architecture alone, not for {type(net).__name__}'s"
    if precision not in ("auto", "fp32", "int8"):
        return f"OpenVINO is used in fp32 and int8 alone, not in {precision}"
    return ""


def _worthwhile_int8(weights: Path) -> int8.Int8 | None:
    """The settings for int8 that are there, if they are good and the CPU has AVX2.

    With AVX2 int8 is twice as fast as fp32 (results/quantization.md). CPUs without it were not measured.
    """
    if not int8.path_beside(weights).is_file() or not torch.cpu.get_capabilities().get("avx2", False):
        return None
    try:
        settings = int8.read(weights)
    except SRError as error:
        say_once(f"int8 is not used: {error}")
        return None
    return settings if settings.is_good else None
