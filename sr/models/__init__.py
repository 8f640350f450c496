"""Network architectures, one file each.

A network that enlarges images (`NETWORKS`) has, besides `forward`:
    is_luma: it maps luma (N, 1, H, W) to luma, both in [0, 1] (`sr.luma`); the others RGB in [0, 1] to RGB in [-1, 1].
    tile: longest side of a piece in LR pixels; the largest tensors of a piece of that size have 256 MiB in fp32.
    scale, receptive_radius, config(): see `SRResNet`.
    from_settings(settings): the network that a training configuration (`sr.config.TrainConfig`) asks for.
"""

from typing import Any

from torch import nn

from sr.models.discriminator import Discriminator
from sr.models.drcn import DRCN
from sr.models.espcn import ESPCN
from sr.models.srcnn import SRCNN
from sr.models.srresnet import SRResNet

__all__ = ["DRCN", "ESPCN", "NETWORKS", "SRCNN", "Discriminator", "SRResNet", "architecture"]

NETWORKS: dict[str, Any] = {kind.__name__.lower(): kind for kind in (SRCNN, DRCN, ESPCN, SRResNet)}
"""The networks that enlarge images, by the name that a training configuration has for them."""


def architecture(network: nn.Module) -> dict[str, Any]:
    """What a model card keeps to rebuild one of `NETWORKS`: the class's name and the constructor's arguments."""
    return {"name": type(network).__name__, **network.config()}
