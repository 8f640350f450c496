"""Luma for the networks that enlarge nothing else: BT.601 as MATLAB's rgb2ycbcr gives it, not rounded.

`sr.metrics` rounds the same luma to whole numbers, because what it measures are 8-bit images.
"""

from torch import Tensor

WEIGHTS = (65.481 / 255, 128.553 / 255, 24.966 / 255)  # of R, G and B in [0, 1]; black is 16 / 255
BLACK = 16 / 255


def luma(rgb: Tensor) -> Tensor:
    """(N, 3, H, W) in [0, 1] -> (N, 1, H, W) from 16/255 (black) to 235/255 (white)."""
    return BLACK + sum(weight * rgb[:, i : i + 1] for i, weight in enumerate(WEIGHTS))


def with_luma(rgb: Tensor, wanted: Tensor) -> Tensor:
    """`rgb` (N, 3, H, W) with the luma `wanted` (N, 1, H, W) and its own Cb and Cr; not clipped.

    What R, G and B have in common changes Y alone: the weights of Cb and of Cr sum to zero. So grey stays grey.
    """
    return rgb + (wanted - luma(rgb)) / sum(WEIGHTS)
