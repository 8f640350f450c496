"""The terms of the generator's loss (section 2.2 of the paper), as a configuration weighs them."""

from pathlib import Path

import torch
from torch import nn

from sr.config import TrainConfig
from sr.losses import (
    ChromaLoss,
    ColourLoss,
    GeneratorAdversarialLoss,
    GridLoss,
    L1Loss,
    MSELoss,
    RecursiveSupervisionLoss,
    TotalVariationLoss,
    VGGLoss,
)


def generator_terms(
    config: TrainConfig, device: torch.device, vgg_weights: Path | None
) -> dict[str, tuple[float, nn.Module]]:
    """Name -> weight and loss, on the device, of every term whose weight is not 0.

    vgg_weights: see `sr.losses.VGGLoss`. Raises SRError where that does.
    """
    if config.content.startswith("vgg"):
        content: nn.Module = VGGLoss(config.content, vgg_weights)
    elif config.network == "drcn":
        content = RecursiveSupervisionLoss(config.recursion_weight)
    else:
        content = MSELoss() if config.content == "mse" else L1Loss()
    terms = {
        "content": (config.content_weight, content),
        "pixel": (config.pixel_weight, L1Loss()),
        "chroma": (config.chroma_weight, ChromaLoss()),
        "colour": (config.colour_weight, ColourLoss()),
        "grid": (config.grid_weight, GridLoss()),
        "adversarial": (config.adversarial_weight, GeneratorAdversarialLoss()),
        "tv": (config.tv_weight, TotalVariationLoss()),
    }
    return {
        name: (weight, loss.to(device, memory_format=torch.channels_last))
        for name, (weight, loss) in terms.items()
        if weight
    }
