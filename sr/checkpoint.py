"""Files that a training run writes: checkpoints and, for users, weights with a model card. Never half a file."""

import json
import platform
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from sr.errors import SRError
from sr.files import write_atomically


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    write_atomically(path, lambda temporary: torch.save(state, temporary))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Tensors and plain values only (no pickled code). Raises SRError when the file is missing or cut short."""
    if not path.is_file():
        raise SRError(f"{path} not found: there is nothing to resume; start without --resume")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise SRError(f"checkpoint {path} is damaged ({error}); start again without --resume") from error


def save_weights(folder: Path, name: str, state: dict[str, Tensor], card: dict[str, Any]) -> Path:
    """Writes NAME.safetensors, half precision, and NAME.json, its model card. Returns the former's path."""
    half = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    half = {key: value.half() if value.is_floating_point() else value for key, value in half.items()}
    path = folder / f"{name}.safetensors"
    write_atomically(path, lambda temporary: temporary.write_bytes(save(half)))
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path.with_suffix(".json"), lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return path


def hardware(device: torch.device) -> str:
    """The processor that a run used, for its model card."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [
            line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return f"{device.type}: {model}, {torch.get_num_threads()} thread(s)"
