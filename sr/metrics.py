"""PSNR and SSIM on the luma channel, in two protocols that must not be mixed.

paper     What the paper reports (section 3.1, "daala"): BT.709 luma with daala's SSIM, whose Gaussian window grows with
          the image's height.
standard  What most later papers report: BT.601 luma as MATLAB's rgb2ycbcr gives it, with the SSIM of Wang et al. (IEEE
          TIP 2004): 11x11 Gaussian window of sigma 1.5, valid region only.

In both, luma is rounded to 8 bit (black 16, white 235), a 4-pixel border is removed before anything is measured, and
the peak is 255. A greyscale image counts as RGB with R = G = B: its luma spans 16 to 235, as a colour image's does.
Papers that take the grey values (0 to 255) themselves as luma report 1.32 dB less for such an image.
"""

import math

import numpy as np
from scipy.ndimage import correlate1d
from skimage.metrics import structural_similarity

from sr.errors import SRError
from sr.protocols import PROTOCOLS

# Luma of R, G, B: 16 + (weights . RGB) / divisor. Whole numbers, so that the rounding is exact.
_LUMA = {
    "paper": ((219 * 2126, 219 * 7152, 219 * 722), 255 * 10_000),  # ITU-R BT.709-6, section 3: 0.2126, 0.7152, 0.0722
    "standard": ((65_481, 128_553, 24_966), 255 * 1_000),  # MATLAB's rgb2ycbcr: ITU-R BT.601 times 219
}
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2
_WANG_WINDOW = 11


def luma(image: np.ndarray, protocol: str) -> np.ndarray:
    """Luma rounded to whole numbers from 16 to 235: uint8 (H, W, 3) RGB or (H, W) grey -> float64 (H, W).

    Raises SRError for another dtype or shape, or an unknown protocol.
    """
    if protocol not in PROTOCOLS:
        raise SRError(f"unknown protocol {protocol!r}; choose one of: {', '.join(PROTOCOLS)}")
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise SRError(f"expected a uint8 array (H, W, 3) or (H, W), got {image.dtype} {image.shape}")
    weights, divisor = _LUMA[protocol]
    channels = [image] * 3 if image.ndim == 2 else np.moveaxis(image, 2, 0)
    total = sum(weight * channel.astype(np.int64) for weight, channel in zip(weights, channels, strict=True))
    return (16 + (total + divisor // 2) // divisor).astype(np.float64)


def _prepare(sr: np.ndarray, hr: np.ndarray, protocol: str, border: int) -> tuple[np.ndarray, np.ndarray]:
    if sr.shape[:2] != hr.shape[:2]:
        raise SRError(f"images differ in size: {_size(sr)} against {_size(hr)} (width x height)")
    if border < 0:
        raise SRError(f"border must be 0 or more, got {border}")
    if min(hr.shape[:2]) <= 2 * border:
        raise SRError(f"an image of {_size(hr)} has nothing left inside a {border}-pixel border")
    inside = slice(border, -border or None)
    return luma(sr[inside, inside], protocol), luma(hr[inside, inside], protocol)


def _size(image: np.ndarray) -> str:
    return "x".join(str(side) for side in image.shape[1::-1])


def psnr(sr: np.ndarray, hr: np.ndarray, protocol: str = "paper", border: int = 4) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(255^2 / MSE), on luma; infinite when the lumas are equal.

    sr, hr: uint8 (H, W, 3) RGB or (H, W) grey, of the same height and width.
    border: pixels removed from each side.
    Raises SRError for sizes that differ or are too small, another dtype or shape, or an unknown protocol.
    """
    a, b = _prepare(sr, hr, protocol, border)
    mse = float(np.mean((a - b) ** 2))
    return 10 * math.log10(255**2 / mse) if mse else math.inf


def ssim(sr: np.ndarray, hr: np.ndarray, protocol: str = "paper", border: int = 4) -> float:
    """Mean structural similarity on luma, at most 1; symmetric in sr and hr.

    Arguments and errors as for `psnr`; besides, `standard` needs 11x11 pixels inside the border. `paper` takes any
    size, but its window is a single pixel, blind to structure, where fewer than 47 rows are inside the border.
    """
    a, b = _prepare(sr, hr, protocol, border)
    if protocol == "paper":
        return _daala_ssim(a, b)
    if min(a.shape) < _WANG_WINDOW:
        least = _WANG_WINDOW + 2 * border
        raise SRError(f"SSIM (standard) needs at least {least}x{least} pixels, got {_size(hr)}")
    return float(
        structural_similarity(a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    )


def _daala_window(height: int, width: int) -> np.ndarray:
    """Taps, whole numbers that sum to 256, of daala's Gaussian window for an image of this size.

    sigma = 1.5 * height / 256. Taps that would round to zero are cut; the middle one takes up what rounding left over.
    """
    sigma = 1.5 * height / 256
    distance = np.arange(1, min(height, width))
    gaussian = 256 / (math.sqrt(2 * math.pi) * sigma) * np.exp(-0.5 * (distance / sigma) ** 2)
    side = np.floor(gaussian[gaussian >= 0.5] + 0.5)
    return np.concatenate([side[::-1], [256 - 2 * side.sum()], side])


def _daala_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """SSIM as daala's dump_ssim has it: near the border the window is cut, and a pixel counts by what is left of it."""
    window = _daala_window(*a.shape)

    def blur(values: np.ndarray) -> np.ndarray:
        rows = correlate1d(values, window, axis=0, mode="constant")
        return correlate1d(rows, window, axis=1, mode="constant")

    weight = blur(np.ones_like(a))
    mean_a, mean_b = blur(a) / weight, blur(b) / weight
    var_a = blur(a * a) / weight - mean_a**2
    var_b = blur(b * b) / weight - mean_b**2
    covariance = blur(a * b) / weight - mean_a * mean_b
    similarity = ((2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)) / (
        (mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2)
    )
    return float(np.average(similarity, weights=weight))
