"""Image resizing as MATLAB's `imresize` does it, and the two degradations of the paper (sections 2 and 3.2).

Benchmark LR images are made by MATLAB's antialiased bicubic, which no torch or PIL resize reproduces: they differ in
the kernel's support, in the border and in where uint8 is rounded.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from sr.errors import SRError


def _cubic(x: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -0.5, which is MATLAB's (R. Keys, IEEE TASSP 1981, equation 15)."""
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, torch.zeros_like(x)))


@lru_cache(maxsize=256)
def _contributions(in_size: int, scale: float, antialias: bool) -> tuple[Tensor, Tensor]:
    """For each output position along one side: input indices (out, taps) and float64 weights (out, taps), sum 1."""
    out_size = math.ceil(in_size * scale)
    shrink = min(scale, 1.0) if antialias else 1.0
    width = 4 / shrink
    # MATLAB counts from 1, so that output pixel u covers input position u / scale + 0.5 * (1 - 1 / scale).
    centre = torch.arange(1, out_size + 1, dtype=torch.float64) / scale + 0.5 * (1 - 1 / scale)
    first = torch.floor(centre - width / 2)
    index = first[:, None] + torch.arange(math.ceil(width) + 2, dtype=torch.float64)
    weight = shrink * _cubic(shrink * (centre[:, None] - index))
    weight = weight / weight.sum(1, keepdim=True)
    # Beyond the border the image is mirrored, the edge pixel repeated ("symmetric").
    mirrored = torch.remainder(index.long() - 1, 2 * in_size)
    mirrored = torch.where(mirrored < in_size, mirrored, 2 * in_size - 1 - mirrored)
    used = (weight != 0).any(0)
    return mirrored[:, used], weight[:, used]


def _resize_last(images: Tensor, scale: float, antialias: bool) -> Tensor:
    index, weight = _contributions(images.shape[-1], scale, antialias)
    index, weight = index.to(images.device), weight.to(images.device, images.dtype)
    result = images[..., index[:, 0]] * weight[:, 0]
    for tap in range(1, index.shape[1]):
        result = result + images[..., index[:, tap]] * weight[:, tap]
    return result


def imresize(images: Tensor, scale: float, *, antialias: bool = True) -> Tensor:
    """Bicubic resize equal to MATLAB's `imresize(image, scale)`.

    images: (N, C, H, W), uint8 or floating point of any range, on any device.
    scale: factor per side, above 0. The result is (N, C, ceil(scale*H), ceil(scale*W)) with the input's dtype.
    antialias: widen the kernel when shrinking, MATLAB's default.

    Floating point is differentiable and not clipped. uint8 is rounded (halves up) and clipped after each of the two
    directions, as MATLAB does; the columns' direction (height) comes first. Half precision is computed in float32.
    Raises SRError for another shape, dtype or scale.
    """
    if images.ndim != 4 or 0 in images.shape:
        raise SRError(f"images must be a non-empty (N, C, H, W) tensor, got shape {tuple(images.shape)}")
    if not (math.isfinite(scale) and scale > 0):
        raise SRError(f"scale must be above 0 and finite, got {scale}")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise SRError(f"images must be uint8 or floating point, got {images.dtype}")
    integer = images.dtype == torch.uint8
    # float64 is exact for the rounding of halves, but some devices (MPS) lack it.
    exact = torch.float32 if images.device.type == "mps" else torch.float64
    working = exact if integer else torch.promote_types(images.dtype, torch.float32)
    result = images.to(working)
    for dim in (-2, -1):
        result = _resize_last(result.transpose(dim, -1), float(scale), antialias).transpose(dim, -1)
        if integer:
            # 1e-9 keeps sums that are a half up to float64's rounding on the upper side.
            result = torch.floor(result + (0.5 + 1e-9)).clamp_(0, 255)
    return result.to(images.dtype).contiguous()


def nearest(images: Tensor, scale: int) -> Tensor:
    """Enlarge by pixel replication: (N, C, H, W) of any dtype -> (N, C, scale*H, scale*W)."""
    return images.repeat_interleave(scale, -2).repeat_interleave(scale, -1)


def gaussian_degrade(images: Tensor, scale: int = 4, sigma: float | None = None) -> Tensor:
    """Section 2's degradation: a Gaussian filter, then every `scale`-th pixel.

    images: (N, C, H, W), floating point, H and W multiples of scale (else SRError). Result (N, C, H/scale, W/scale).
    sigma: in HR pixels. The paper does not state it; the default 0.5 * scale cuts the amplitude at the LR grid's
        Nyquist frequency to 29 %.
    The sampled positions are the centres of the scale x scale cells, so that the LR image is not shifted.
    """
    if not images.is_floating_point() or images.ndim != 4:
        raise SRError(f"images must be a floating-point (N, C, H, W) tensor, got {images.dtype} {tuple(images.shape)}")
    height, width = images.shape[-2:]
    if height % scale or width % scale:
        raise SRError(f"image sides must be multiples of {scale}, got {height}x{width}; crop the image first")
    result = images
    for dim in (-2, -1):
        index, weight = _gaussian_contributions(images.shape[dim], scale, 0.5 * scale if sigma is None else sigma)
        index, weight = index.to(images.device), weight.to(images.device, images.dtype)
        moved = result.transpose(dim, -1)
        result = (moved[..., index] * weight).sum(-1).transpose(dim, -1)
    return result.contiguous()


def _gaussian_contributions(side: int, scale: int, sigma: float) -> tuple[Tensor, Tensor]:
    """As `_contributions`, for the Gaussian filter."""
    radius = math.ceil(4 * sigma)
    centre = torch.arange(side // scale, dtype=torch.float64) * scale + (scale - 1) / 2
    index = torch.floor(centre)[:, None] + torch.arange(-radius, radius + 2, dtype=torch.float64)
    weight = torch.exp(-0.5 * ((index - centre[:, None]) / sigma) ** 2)
    index = torch.remainder(index.long(), 2 * side)
    return torch.where(index < side, index, 2 * side - 1 - index), weight / weight.sum(1, keepdim=True)


def degradation_matrix(side: int, scale: int, degradation: str) -> Tensor:
    """One direction of a degradation as a matrix (side / scale, side), float64, whose rows sum to 1.

    For many pictures of one small size, products with it are faster than gathering the taps.
    degradation: "bicubic" or "gaussian". side: HR pixels, a multiple of scale.
    """
    if degradation == "bicubic":
        index, weight = _contributions(side, 1 / scale, True)
    else:
        index, weight = _gaussian_contributions(side, scale, 0.5 * scale)
    return torch.zeros(side // scale, side, dtype=torch.float64).scatter_add_(1, index, weight)


def hr_and_lr(image: np.ndarray, scale: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """An HR image and its LR version as the benchmark sets have them: reduced by MATLAB's bicubic, rounded to uint8.

    image: uint8 (H, W, 3), cropped at the right and the bottom to multiples of scale; that is the first result.
    Raises SRError when nothing is left.
    """
    height, width = (side - side % scale for side in image.shape[:2])
    hr = np.ascontiguousarray(image[:height, :width])
    lr = imresize(torch.from_numpy(hr).permute(2, 0, 1)[None], 1 / scale)[0].permute(1, 2, 0)
    return hr, lr.contiguous().numpy()
