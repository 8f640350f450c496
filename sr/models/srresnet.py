"""The generator: SRResNet and, trained adversarially, SRGAN's G (Ledig et al., CVPR 2017, section 2.1.1 and Fig. 4)."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """conv - BN - PReLU - conv - BN, added to the input (Fig. 4). (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act = nn.PReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bn2(self.conv2(self.act(self.bn1(self.conv1(x)))))


class UpsampleBlock(nn.Module):
    """Sub-pixel convolution x2 (Shi et al., CVPR 2016), then PReLU. (N, C, H, W) -> (N, C, 2H, 2W)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4 * channels, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        self.act = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.shuffle(self.conv(x)))


class TailConv(nn.Conv2d):
    """A convolution to 3 channels with an odd kernel, "same" padding and stride 1.

    Three outputs leave most of a CPU's vector lanes and of a GPU's matrix units empty. There, the pixels of each cell
    of 2x2 (on a GPU 4x4) are computed as 12 (48) outputs of a convolution that goes from cell to cell, its kernel
    shifted to each of the pixels: the same sums, about twice as fast (results/speed.md).
    """

    def forward(self, x: Tensor) -> Tensor:
        side = {"cpu": 2, "cuda": 4}.get(x.device.type, 1)
        if side == 1 or x.shape[-2] % side or x.shape[-1] % side:
            return super().forward(x)
        return self.by_cells(x, side)

    def by_cells(self, x: Tensor, side: int) -> Tensor:
        """What `forward` gives, in cells of 2x2 or 4x4 pixels, which must divide x; those of 4x4 need 9x9 kernels."""
        offsets = [(down, right) for down in range(side) for right in range(side)]
        shifted = [F.pad(self.weight, (right, side - 1 - right, down, side - 1 - down)) for down, right in offsets]
        kernel, stride, padding = torch.stack(shifted, 1).flatten(0, 1), side, self.padding
        if side == 4:
            # The shifted kernels see 12 pixels a side: three cells, whose pixels become channels.
            kernel = kernel.unflatten(3, (3, 4)).unflatten(2, (3, 4)).permute(0, 1, 3, 5, 2, 4).flatten(1, 3)
            x, stride, padding = F.pixel_unshuffle(x, 4), 1, 1
        kernel = kernel.contiguous(memory_format=torch.channels_last)
        cells = F.conv2d(x, kernel, self.bias.repeat_interleave(side**2), stride=stride, padding=padding)
        return F.pixel_shuffle(cells, side)


class SRResNet(nn.Module):
    """Maps an LR image (N, 3, H, W) in [0, 1] to the SR image (N, 3, scale*H, scale*W) in [-1, 1], not clipped.

    num_blocks: residual blocks, B in the paper (16).
    channels: feature maps per convolution, n in the paper (64).
    scale: enlargement per side, a power of two (4). Raises ValueError for anything else.

    The paper leaves open whether a PReLU has one slope or one per channel; here it has one. The paper mentions no
    output activation, and there is none.
    """

    is_luma = False
    tile = 256

    def __init__(self, num_blocks: int = 16, channels: int = 64, scale: int = 4):
        super().__init__()
        if scale < 2 or scale & (scale - 1):
            raise ValueError(f"scale must be a power of two of at least 2, got {scale}")
        self.num_blocks, self.channels, self.scale = num_blocks, channels, scale
        self.head_conv = nn.Conv2d(3, channels, 9, padding=4)
        self.head_act = nn.PReLU()
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(num_blocks)))
        self.body_conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.body_bn = nn.BatchNorm2d(channels)
        self.upsample = nn.Sequential(*(UpsampleBlock(channels) for _ in range(int(math.log2(scale)))))
        self.tail_conv = TailConv(channels, 3, 9, padding=4)
        self.apply(_initialise)

    @classmethod
    def from_settings(cls, settings: Any) -> "SRResNet":
        return cls(settings.num_blocks, settings.channels, settings.scale)

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.head_act(self.head_conv(lr))
        deep = self.body_bn(self.body_conv(self.blocks(shallow)))
        return self.tail_conv(self.upsample(shallow + deep))

    def config(self) -> dict[str, int]:
        """The constructor's arguments, which a checkpoint or model card keeps to rebuild the network."""
        return {"num_blocks": self.num_blocks, "channels": self.channels, "scale": self.scale}

    @property
    def receptive_radius(self) -> int:
        """LR pixels around an output pixel, to each side, that can influence it."""
        at_lr = 4 + 2 * self.num_blocks + 1  # head 9x9, two 3x3 a block, the 3x3 after the blocks
        enlarged = sum(1 / 2**i for i in range(len(self.upsample))) + 4 / self.scale  # a 3x3 a level, tail 9x9
        return math.ceil(at_lr + enlarged)


@torch.no_grad()
def _initialise(module: nn.Module) -> None:
    """He initialisation for the PReLU slope; ICNR (Aitken et al. 2017) where a PixelShuffle follows."""
    if isinstance(module, UpsampleBlock):
        conv = module.conv
        kernel = torch.empty_like(conv.weight[::4])
        nn.init.kaiming_normal_(kernel, a=0.25)
        conv.weight.copy_(kernel.repeat_interleave(4, dim=0))
        nn.init.zeros_(conv.bias)
    elif isinstance(module, ResidualBlock):
        for conv in (module.conv1, module.conv2):
            nn.init.kaiming_normal_(conv.weight, a=0.25)
    elif isinstance(module, SRResNet):
        nn.init.kaiming_normal_(module.head_conv.weight, a=0.25)
        nn.init.kaiming_normal_(module.body_conv.weight, a=0.25)
        nn.init.xavier_normal_(module.tail_conv.weight)
        nn.init.zeros_(module.head_conv.bias)
        nn.init.zeros_(module.tail_conv.bias)
