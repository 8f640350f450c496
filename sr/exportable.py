"""Networks as a file for other programs has them: RGB in [0, 1] in and out, at any size, as a graph of operations."""

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from sr.inference import fold_batch_norms
from sr.luma import luma, with_luma
from sr.models import DRCN, SRCNN, SRResNet
from sr.resize import imresize


class Enlarger(nn.Module):
    """RGB (N, 3, H, W) in [0, 1] -> RGB (N, 3, scale*H, scale*W) in [0, 1], clipped, by one of `sr.models.NETWORKS`.

    It is what `sr.inference` computes on windows, before the rounding to uint8.
    bicubic: enlarges Cb and Cr where the network enlarges luma alone, called as bicubic(images, scale).
    """

    def __init__(self, net: nn.Module, bicubic: Callable[[Tensor, int], Tensor] = imresize):
        super().__init__()
        self.net, self.bicubic = net, bicubic

    def forward(self, lr: Tensor) -> Tensor:
        if self.net.is_luma:
            sr = with_luma(self.bicubic(lr, self.net.scale), self.net(luma(lr)))
        else:
            sr = (self.net(lr) + 1) / 2
        return sr.clamp(0, 1)


class Bicubic(nn.Module):
    """`imresize` by one whole factor, as operations that are the same at every size.

    The scale^2 pixels of a cell are scale^2 convolutions 5x5 on the LR grid, which a pixel shuffle lays out.
    """

    def __init__(self, scale: int):
        super().__init__()
        # What becomes of one bright pixel: 2 pixels to both sides see it, 4 are between it and the border.
        bright = imresize(torch.eye(9, dtype=torch.float64)[:, None, None], scale)[2:7, 0, 0]
        taps = bright[:, 4 * scale : 5 * scale].T
        kernel = torch.einsum("yi,xj->yxij", taps, taps).reshape(-1, 1, 5, 5)
        self.register_buffer("kernel", kernel.float().contiguous())

    def forward(self, images: Tensor, scale: int) -> Tensor:
        channels = images.shape[1]
        # Two pixels around are the edge and its neighbour, mirrored; a side of one pixel is that pixel all along.
        images = F.pad(images, (1, 1, 1, 1), mode="replicate")
        for dim in (2, 3):
            images = torch.cat([images.narrow(dim, 2, 1), images, images.narrow(dim, -3, 1)], dim)
        return F.pixel_shuffle(F.conv2d(images, self.kernel.repeat(channels, 1, 1, 1), groups=channels), scale)


def trace(net: nn.Module) -> ExportedProgram:
    """`Enlarger` with one of `sr.models.NETWORKS` (fp32, on the CPU) as a graph for any batch, height and width.

    Batch normalisations are part of the convolutions before them.
    """
    if net.is_luma:
        bicubic = Bicubic(net.scale)
        net = copy.deepcopy(net)
        if isinstance(net, SRCNN | DRCN):
            net.enlarge = bicubic  # `imresize` computes its taps from the size: no graph can hold that
        module = Enlarger(net, bicubic)
    else:
        module = Enlarger(_without_choices(net))
    sizes = {0: Dim("batch", min=1), 2: Dim("height", min=1), 3: Dim("width", min=1)}
    program = torch.export.export(module.eval(), (torch.zeros(2, 3, 13, 11),), dynamic_shapes=(sizes,))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names this machine's folders
    return program


def _without_choices(net: SRResNet) -> SRResNet:
    """A copy whose last convolution does not look at the size for the faster of its two forms."""
    net = fold_batch_norms(net)
    tail = net.tail_conv
    plain = nn.Conv2d(tail.in_channels, tail.out_channels, tail.kernel_size, padding=tail.padding)
    plain.load_state_dict(tail.state_dict())
    net.tail_conv = plain.requires_grad_(False)
    return net
