"""Colours of a generator set right after its training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from sr.card import amended_card
from sr.data import find_files, read_or_reason
from sr.errors import SRError
from sr.inference import engine, load_network
from sr.methods import Upscaler
from sr.models import SRResNet
from sr.resize import hr_and_lr

LEVEL = 1 / 127.5  # 1/255 of the range, in the generator's output
DEPARTURE = "the last bias is set after the training, so that mean colours are the originals'"


def centre(
    weights: Path, folders: Sequence[Path], count: int, device: torch.device
) -> tuple[dict[str, Tensor], dict[str, Any], np.ndarray]:
    """Moves the last bias by what SR is on average darker or brighter than HR, channel by channel.

    L1 leaves a generator at the median, which is not the mean: whole pictures come out a little too dark.

    weights: .safetensors file of a generator for RGB, with its card beside it. folders: HR images, of which `count` are
    taken, evenly over their sorted names.
    Returns the state dict, its card, and SR - HR before, (3,), in 1/255. Raises SRError for weights of a network that
    enlarges luma alone and for folders without a usable image.
    """
    network = load_network(weights)
    if not isinstance(network, SRResNet):
        raise SRError(f"{weights} is {type(network).__name__}, which leaves colours to bicubic; give one for RGB")
    files = find_files(list(folders))
    if not files:
        raise SRError(f"no image in {', '.join(map(str, folders))}")
    chosen = [files[i] for i in np.linspace(0, len(files) - 1, min(count, len(files))).round().astype(int)]
    shifts = _shifts(network, chosen, device)
    shift = shifts.mean(0)
    with torch.no_grad():
        network.tail_conv.bias -= torch.from_numpy(shift * LEVEL)
    facts = {"images": len(shifts), "shift_before": [round(value, 3) for value in shift.tolist()]}
    return network.state_dict(), amended_card(weights, "centred", facts, DEPARTURE), shift


def _shifts(network: SRResNet, files: list[Path], device: torch.device) -> np.ndarray:
    """Every usable image's mean of SR - HR, (N, 3), in 1/255."""
    upscaler = Upscaler("centring", engine(network, device, "fp32"))
    shifts = []
    for file in tqdm(files, unit="image", desc="mean colours"):
        image = read_or_reason(file)
        if not isinstance(image, str) and min(image.shape[:2]) >= network.scale:
            hr, lr = hr_and_lr(image)
            shifts.append((upscaler.upscale(lr).astype(np.float64) - hr).mean((0, 1)))
    if not shifts:
        raise SRError(f"none of the {len(files)} images could be used")
    return np.stack(shifts)
