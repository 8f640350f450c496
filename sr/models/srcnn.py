"""SRCNN (Dong, Loy, He and Tang, "Image Super-Resolution Using Deep Convolutional Networks", TPAMI 2016), 9-5-5."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr.resize import imresize


class SRCNN(nn.Module):
    """Maps LR luma (N, 1, H, W) in [0, 1] to SR luma (N, 1, scale*H, scale*W) in [0, 1], not clipped.

    The luma is first enlarged by MATLAB's bicubic; on it work three convolutions, 9x9 to 64 channels, 5x5 to 32 and 5x5
    to one, ReLU between them: 57 184 weights and 97 biases. It is the largest and best of the paper's networks.

    The paper trains without padding, so that the result is smaller. Here the convolutions keep the size ("same"): the
    edge pixels are repeated around, as the authors' test code does it.

    scale: enlargement per side, above 1.
    """

    is_luma = True
    tile = 256

    def __init__(self, scale: int = 4):
        super().__init__()
        self.enlarge = imresize  # an export puts the same function in operations of its own here
        self.scale = scale
        self.extract = nn.Conv2d(1, 64, 9, padding=4, padding_mode="replicate")
        self.map = nn.Conv2d(64, 32, 5, padding=2, padding_mode="replicate")
        self.reconstruct = nn.Conv2d(32, 1, 5, padding=2, padding_mode="replicate")
        self._initialise()

    @classmethod
    def from_settings(cls, settings: Any) -> "SRCNN":
        return cls(settings.scale)

    def forward(self, lr: Tensor) -> Tensor:
        enlarged = self.enlarge(lr, self.scale)
        return self.reconstruct(F.relu(self.map(F.relu(self.extract(enlarged)))))

    def config(self) -> dict[str, int]:
        """The constructor's arguments, which a checkpoint or model card keeps to rebuild the network."""
        return {"scale": self.scale}

    @property
    def receptive_radius(self) -> int:
        """LR pixels around an output pixel, to each side, that can influence it."""
        return math.ceil((4 + 2 + 2) / self.scale) + 2  # bicubic reads 2 around

    @torch.no_grad()
    def _initialise(self) -> None:
        """He initialisation, but for one channel that hands the picture through: training starts at bicubic's result.

        The paper's Gaussian of deviation 0.001 needs very many steps to get away from zero.
        """
        for conv in (self.extract, self.map):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)
        nn.init.zeros_(self.reconstruct.weight)
        nn.init.zeros_(self.reconstruct.bias)
        for conv in (self.extract, self.map, self.reconstruct):
            middle = conv.kernel_size[0] // 2
            conv.weight[0] = 0
            conv.weight[0, 0, middle, middle] = 1
