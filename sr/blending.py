"""Weights between two generators (network interpolation, Wang et al. 2018, section 3.4)."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sr.card import amended_card
from sr.errors import SRError
from sr.inference import load_network
from sr.models import architecture


def blend(start: Path, end: Path, share: float) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(1 - share) * start + share * end as a state dict in fp32, and its model card, made of END's.

    start, end: .safetensors files with their cards beside them, END trained from START in one or more stages.
    share: 0 to 1.
    Raises SRError for another share, weights that cannot be read and two architectures that differ.
    """
    if not 0 <= share <= 1:
        raise SRError(f"the share of {end} must lie between 0 and 1, got {share:g}")
    first, last = load_network(start), load_network(end)
    if architecture(first) != architecture(last):
        raise SRError(f"{start} has {architecture(first)}, {end} has {architecture(last)}: they cannot be blended")
    other = first.state_dict()
    state = {
        key: torch.lerp(other[key], value, share) if value.is_floating_point() else value
        for key, value in last.state_dict().items()
    }
    mixed = f"the weights are {share:g} of the trained ones and {1 - share:g} of {start.stem}'s"
    return state, amended_card(end, "blend", {"share": share, "start": start.name, "end": end.name}, mixed)
