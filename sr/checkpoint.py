"""Files that a training run writes: checkpoints and, for users, weights with a model card. Never half a file."""

import json
import platform
import sys
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from sr.errors import SRError
from sr.files import write_atomically, write_text
from sr.precision import native_precisions
from sr.randomness import random_state


def checkpoints(folder: Path) -> list[Path]:
    """A run's checkpoints, the newest first."""
    return sorted(folder.glob("checkpoint-*.pt"), reverse=True)


def save_checkpoint(folder: Path, state: dict[str, Any], keep: int) -> Path:
    """Writes the checkpoint of `state["step"]` with the random generators' states, then removes all but `keep`."""
    path = folder / f"checkpoint-{state['step']:09d}.pt"
    state = state | {"random": random_state()}
    write_atomically(path, lambda temporary: torch.save(state, temporary))
    for old in checkpoints(folder)[keep:]:
        old.unlink()
    return path


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """The newest whole checkpoint of a run; a damaged one is named, and the one before it is taken.

    Reads tensors and plain values only (no pickled code), onto the CPU.
    Raises SRError when there is none, or all are damaged.
    """
    found = checkpoints(folder)
    if not found:
        raise SRError(f"{folder} holds no checkpoint: there is nothing to resume; start without --resume")
    for path in found:
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, OSError, EOFError, ValueError, KeyError, UnpicklingError) as error:
            reason = str(error).partition(". ")[0] or type(error).__name__
            print(f"checkpoint {path} is damaged ({reason}); trying the one before it", file=sys.stderr)
    raise SRError(f"all {len(found)} checkpoints in {folder} are damaged; remove them and start without --resume")


def save_weights(folder: Path, name: str, state: dict[str, Tensor], card: dict[str, Any]) -> Path:
    """Writes NAME.safetensors, half precision, and NAME.json, its model card. Returns the former's path."""
    half = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    half = {key: value.half() if value.is_floating_point() else value for key, value in half.items()}
    path = folder / f"{name}.safetensors"
    write_atomically(path, lambda temporary: temporary.write_bytes(save(half)))
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    write_text(path.with_suffix(".json"), text)
    return path


def hardware(device: torch.device) -> str:
    """The processor that a run used; of a CPU also its instructions, for several speeds go by one model name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [
            line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    if device.type == "cpu":
        bf16 = ["bf16"] if "bf16" in native_precisions(device) else []
        model += f" ({', '.join([torch.backends.cpu.get_cpu_capability(), *bf16])})"
    return f"{device.type}: {model}, {torch.get_num_threads()} thread(s)"
