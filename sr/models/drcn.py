"""DRCN (Kim, Lee and Lee, "Deeply-Recursive Convolutional Network for Image Super-Resolution", CVPR 2016)."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr.resize import imresize


class DRCN(nn.Module):
    """Maps LR luma (N, 1, H, W) in [0, 1] to SR luma in [0, 1], not clipped.

    The luma is first enlarged by MATLAB's bicubic. The embedding, two 3x3 convolutions, makes feature maps of it; the
    inference, one 3x3 convolution, is applied to them again and again, its weights shared. After every time the
    reconstruction, two 3x3 convolutions, also shared, predicts the picture: its output is added to the enlarged luma.
    The result is a weighted sum of all predictions, the weights learnt. ReLU follows every convolution but the last
    one, whose output is a difference and must be able to be negative. Zero padding keeps the size.

    With 256 channels and 16 recursions it has 1.775 M parameters and sees 41x41 enlarged pixels.

    channels: feature maps of every convolution (256).
    recursions: how often the inference is applied, D in the paper (16).
    scale: enlargement per side, above 1.

    Returns (N, 1, scale*H, scale*W); while training (N, 1 + recursions, scale*H, scale*W): the result and, for
    `sr.losses.RecursiveSupervisionLoss`, every prediction.
    """

    is_luma = True
    tile = 128

    def __init__(self, channels: int = 256, recursions: int = 16, scale: int = 4):
        super().__init__()
        self.enlarge = imresize  # an export puts the same function in operations of its own here
        self.channels, self.recursions, self.scale = channels, recursions, scale
        self.embed1 = nn.Conv2d(1, channels, 3, padding=1)
        self.embed2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.infer = nn.Conv2d(channels, channels, 3, padding=1)
        self.reconstruct1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.reconstruct2 = nn.Conv2d(channels, 1, 3, padding=1)
        self.share = nn.Parameter(torch.full((recursions,), 1 / recursions))
        self._initialise()

    @classmethod
    def from_settings(cls, settings: Any) -> "DRCN":
        return cls(settings.channels, settings.num_blocks, settings.scale)

    def forward(self, lr: Tensor) -> Tensor:
        enlarged = self.enlarge(lr, self.scale)
        state = F.relu(self.embed2(F.relu(self.embed1(enlarged))))
        result, predictions = torch.zeros_like(enlarged), []
        for share in self.share:
            state = F.relu(self.infer(state))
            prediction = enlarged + self.reconstruct2(F.relu(self.reconstruct1(state)))
            result = result + share * prediction
            if self.training:
                predictions.append(prediction)
        return torch.cat([result, *predictions], 1)

    def config(self) -> dict[str, int]:
        """The constructor's arguments, which a checkpoint or model card keeps to rebuild the network."""
        return {"channels": self.channels, "recursions": self.recursions, "scale": self.scale}

    @property
    def receptive_radius(self) -> int:
        """LR pixels around an output pixel, to each side, that can influence it."""
        return math.ceil((2 + self.recursions + 2) / self.scale) + 2  # bicubic reads 2 around

    def _initialise(self) -> None:
        """He initialisation, but for the shared convolution, which starts as the identity: both are the paper's."""
        for conv in (self.embed1, self.embed2, self.reconstruct1, self.reconstruct2):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)
        nn.init.dirac_(self.infer.weight)
        nn.init.zeros_(self.infer.bias)
