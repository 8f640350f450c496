"""ESPCN (Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
Neural Network", CVPR 2016)."""

from typing import Any

import torch
from torch import Tensor, nn


class ESPCN(nn.Module):
    """Maps LR luma (N, 1, H, W) in [0, 1] to SR luma (N, 1, scale*H, scale*W) in [0, 1], not clipped.

    Convolutions on the LR grid, 5x5 to 64 channels, 3x3 to 32 and 3x3 to scale^2, whose channels a PixelShuffle lays
    out as the scale^2 pixels of every cell: 24 640 weights and 112 biases for x4. The edge pixels are repeated around,
    which keeps the size; the paper does not say how its borders are treated, and zeros would be a black frame.

    The activation is tanh: the paper uses ReLU where it compares with SRCNN, and takes tanh for its final model, the
    one whose figures are cited.

    scale: enlargement per side, above 1.
    """

    is_luma = True
    tile = 256

    def __init__(self, scale: int = 4):
        super().__init__()
        self.scale = scale
        self.conv1 = nn.Conv2d(1, 64, 5, padding=2, padding_mode="replicate")
        self.conv2 = nn.Conv2d(64, 32, 3, padding=1, padding_mode="replicate")
        self.conv3 = nn.Conv2d(32, scale**2, 3, padding=1, padding_mode="replicate")
        self.shuffle = nn.PixelShuffle(scale)
        self._initialise()

    @classmethod
    def from_settings(cls, settings: Any) -> "ESPCN":
        return cls(settings.scale)

    def forward(self, lr: Tensor) -> Tensor:
        return self.shuffle(self.conv3(torch.tanh(self.conv2(torch.tanh(self.conv1(lr))))))

    def config(self) -> dict[str, int]:
        """The constructor's arguments, which a checkpoint or model card keeps to rebuild the network."""
        return {"scale": self.scale}

    @property
    def receptive_radius(self) -> int:
        """LR pixels around an output pixel, to each side, that can influence it."""
        return 2 + 1 + 1

    @torch.no_grad()
    def _initialise(self) -> None:
        """One channel hands the picture through, damped to where tanh is straight: the result of nearest neighbours.

        The others get a deviation that bends them. With Xavier's, a third of it in the first layer because its outputs
        are many, a training stays near the best linear filter for long.
        """
        for conv in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="tanh")
            nn.init.zeros_(conv.bias)
            conv.weight[0] = 0
            conv.weight[0, 0, conv.kernel_size[0] // 2, conv.kernel_size[0] // 2] = 1
        self.conv1.weight[0] *= 0.25
        nn.init.zeros_(self.conv3.weight)
        nn.init.zeros_(self.conv3.bias)
        self.conv3.weight[:, 0, 1, 1] = 4
