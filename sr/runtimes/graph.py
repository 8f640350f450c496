"""SRResNet as a graph of OpenVINO's operations, in fp32 or int8, from a picture's bytes to a picture's bytes.

Written out instead of traced from the torch module: it is there in a tenth of a second instead of several, and its last
convolution is arranged for CPUs.
"""

import numpy as np
import openvino as ov
import torch
import torch.nn.functional as F
from openvino import opset13 as op
from torch import Tensor, nn

from sr.inference import fold_batch_norms
from sr.models import SRResNet

INPUT_LEVELS = 256
# Weights take the inner half of these: CPUs without VNNI add two products of bytes in 16 bits, and with all levels that
# would overflow, and the picture depend on the CPU.
WEIGHT_LEVELS = 255
WEIGHT_SHARE = 0.5

Ranges = dict[str, tuple[float, float]]
Offset = tuple[float, float, float]


def build(net: SRResNet, ranges: Ranges | None = None, offset: Offset = (0, 0, 0)) -> ov.Model:
    """uint8 RGB (1, H, W, 3) -> uint8 RGB (1, scale*H, scale*W, 3), for any H and W.

    ranges: the convolutions to compute in int8, by their names in the network, and the smallest and the largest value
        of each one's input.
    offset: R, G and B in levels of 255, which the last convolution adds.
    """
    return _Builder(fold_batch_norms(net), ranges or {}, offset).model()


class _Builder:
    def __init__(self, net: SRResNet, ranges: Ranges, offset: Offset):
        self._net, self._ranges, self._offset = net, ranges, offset
        self._names = {module: name for name, module in net.named_modules()}

    def model(self) -> ov.Model:
        net = self._net
        picture = op.parameter([1, -1, -1, 3], np.uint8, name="lr")
        lr = op.divide(_transpose(op.convert(picture, "f32"), 0, 3, 1, 2), op.constant(np.float32(255)))
        shallow = x = _prelu(self._convolve(self._quantise(lr, net.head_conv), net.head_conv), net.head_act)
        for block in net.blocks:
            inner = _prelu(self._convolve(self._quantise(x, block.conv1), block.conv1), block.act)
            x = op.add(x, self._convolve(self._quantise(inner, block.conv2), block.conv2))
        x = op.add(shallow, self._convolve(self._quantise(x, net.body_conv), net.body_conv))
        readers = [*(block.conv for block in net.upsample), net.tail_conv]
        x = self._quantise(x, readers[0])
        for block, reader in zip(net.upsample, readers[1:], strict=True):
            # The activation and the rounding to int8 come before the shuffle, which they do not mind: so they are part
            # of the convolution, and the shuffle moves bytes.
            x = self._quantise(_prelu(self._convolve(x, block.conv), block.act), reader)
            if reader is not net.tail_conv:
                x = op.depth_to_space(x, "depth_first", 2)
        levels = op.clamp(op.round(self._tail(x), "half_to_even"), 0, 255)
        return ov.Model([op.result(op.convert(_transpose(levels, 0, 2, 3, 1), "u8"))], [picture], "srresnet")

    def _tail(self, x: ov.Node) -> ov.Node:
        """The last convolution, to levels from 0 to 255, on the last upsampling's channels before their shuffle.

        As in `sr.models.srresnet.TailConv`, the four pixels of each 2x2 cell are 12 outputs, with the kernel shifted to
        each. And a convolution with stride 2 on shuffled channels is one with stride 1 on those not shuffled yet, which
        spares the shuffle of the network's largest layer.
        """
        tail = self._net.tail_conv
        shifted = [F.pad(tail.weight, (right, 1 - right, down, 1 - down)) for down in range(2) for right in range(2)]
        kernel = F.pixel_unshuffle(torch.stack(shifted, 1).flatten(0, 1), 2)
        bias = (tail.bias * 127.5 + 127.5 + torch.tensor(self._offset)).repeat_interleave(4)
        return op.depth_to_space(self._convolve(x, tail, kernel * 127.5, bias), "depth_first", 2)

    def _convolve(
        self, x: ov.Node, conv: nn.Conv2d, kernel: Tensor | None = None, bias: Tensor | None = None
    ) -> ov.Node:
        """kernel, bias: instead of conv's own."""
        values = (conv.weight if kernel is None else kernel).contiguous().numpy()
        weights = op.constant(values)
        if self._names[conv] in self._ranges:
            largest = np.maximum(np.abs(values).max((1, 2, 3), keepdims=True), 1e-9)
            low, high = (op.constant(sign * largest / WEIGHT_SHARE) for sign in (-1, 1))
            weights = op.fake_quantize(weights, low, high, low, high, WEIGHT_LEVELS)
        pad = [values.shape[-1] // 2] * 2
        y = op.convolution(x, weights, [1, 1], pad, pad, [1, 1])
        return op.add(y, op.constant((conv.bias if bias is None else bias).reshape(1, -1, 1, 1).numpy()))

    def _quantise(self, x: ov.Node, reader: nn.Conv2d) -> ov.Node:
        """Rounds the input of a convolution that is computed in int8."""
        if self._names[reader] not in self._ranges:
            return x
        low, high = self._ranges[self._names[reader]]
        step = max(high - low, 1e-9) / (INPUT_LEVELS - 1)
        zero = round(-low / step)  # zero is one of the levels, so that the padding stays exact
        bounds = [op.constant(np.float32((level - zero) * step)) for level in (0, INPUT_LEVELS - 1)]
        return op.fake_quantize(x, *bounds, *bounds, INPUT_LEVELS)


def _prelu(x: ov.Node, act: nn.PReLU) -> ov.Node:
    return op.prelu(x, op.constant(act.weight.numpy()))


def _transpose(x: ov.Node, *order: int) -> ov.Node:
    return op.transpose(x, op.constant(np.array(order)))
