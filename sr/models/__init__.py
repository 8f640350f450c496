"""Network architectures, one file each."""

from sr.models.discriminator import Discriminator
from sr.models.srresnet import SRResNet

__all__ = ["Discriminator", "SRResNet"]
