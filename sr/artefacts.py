"""What means over a benchmark hide: single places that a generator spoils, grids, and colours that it shifts."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import uniform_filter

from sr.benchmark import SCALE
from sr.data import read_or_reason
from sr.images import read_rgb_array
from sr.resize import hr_and_lr

WINDOW = 24  # pixels a side, in which contrast is measured
LOW_PASS = 32  # pixels a side, over which colours are averaged
GRID_WINDOW = 64  # pixels a side, over which grids are averaged
BT601 = np.array([0.299, 0.587, 0.114], np.float32)

CROP, GAP, HEAD = 128, 4, 20  # pixels of the sheet: a picture's side, between pictures, for titles


@dataclass(frozen=True)
class Findings:
    """What is conspicuous in one restored picture.

    image: its name. colour_shift: difference of the mean colours of SR and HR, worst channel, in 1/255.
    local_colour_shift: the same of windows of 32 pixels, root of the mean square over the picture, worst channel.
    grid: of the luma's error, how far the means at the 4 x 4 positions within an LR pixel are from their common mean,
    root of the mean square over the positions and over windows of 64 pixels, in 1/255. A few tenths are chance.
    contrast: the standard deviation of the luma within a window of 24 pixels, in 1/255, at the window where it exceeds
    HR's the most; hr_contrast: HR's there. left, top: the window's middle, in HR pixels.
    """

    image: str
    colour_shift: float
    local_colour_shift: float
    grid: float
    contrast: float
    hr_contrast: float
    left: int
    top: int

    @property
    def excess(self) -> float:
        """Contrast that HR does not have, in 1/255: a blob's is high; texture that was put where there is none, too."""
        return self.contrast - self.hr_contrast


def compare(name: str, sr: np.ndarray, hr: np.ndarray) -> Findings:
    """sr, hr: uint8 (H, W, 3) of equal size."""
    difference = sr.astype(np.float32) - hr
    shift = np.abs(difference.mean((0, 1))).max()
    low_passed = np.stack([uniform_filter(difference[..., channel], LOW_PASS) for channel in range(3)])
    contrast, hr_contrast = _local_contrast(sr), _local_contrast(hr)
    top, left = np.unravel_index(np.argmax(contrast - hr_contrast), contrast.shape)
    return Findings(
        image=name,
        colour_shift=float(shift),
        local_colour_shift=float(np.sqrt(np.square(low_passed).mean((1, 2))).max()),
        grid=_grid(difference @ BT601),
        contrast=float(contrast[top, left]),
        hr_contrast=float(hr_contrast[top, left]),
        left=int(left),
        top=int(top),
    )


def _local_contrast(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) -> the standard deviation of the luma in the window around every pixel."""
    luma = image @ BT601
    luma -= luma.mean()  # float32 keeps the difference of the squares below exact enough
    variance = uniform_filter(np.square(luma), WINDOW) - np.square(uniform_filter(luma, WINDOW))
    return np.sqrt(np.maximum(variance, 0))


def _grid(error: np.ndarray) -> float:
    """Root mean square of what in (H, W) repeats with the period of the LR pixels."""
    side = min(GRID_WINDOW, *(length // SCALE * SCALE for length in error.shape))
    rows, columns = (length // side for length in error.shape)
    windows = error[: rows * side, : columns * side].reshape(rows, side // SCALE, SCALE, columns, side // SCALE, SCALE)
    positions = windows.mean((1, 4))
    return float(np.sqrt(np.square(positions - positions.mean((1, 3), keepdims=True)).mean()))


def inspect(
    files: Iterable[Path], root: Path, upscale: Callable[[np.ndarray], np.ndarray], skip: Callable[[str], object]
) -> Iterator[Findings]:
    """Every HR image reduced by MATLAB's bicubic, restored and compared, in the order of `files`.

    root: a folder above all files; an image is called by its path below it.
    skip: called with why a file is not used: it is unreadable or smaller than a window.
    """
    for file in files:
        image = read_or_reason(file)
        if isinstance(image, str):
            skip(image)
        elif min(image.shape[:2]) < LOW_PASS:
            skip(f"{file} is {image.shape[1]}x{image.shape[0]}, smaller than {LOW_PASS} pixels a side")
        else:
            hr, lr = hr_and_lr(image)
            yield compare(file.relative_to(root).as_posix(), upscale(lr), hr)


def worst(findings: Iterable[Findings], count: int) -> list[Findings]:
    """Those with the most contrast that HR does not have, the worst first."""
    return list(islice(sorted(findings, key=lambda found: -found.excess), count))


def draw_sheet(findings: Iterable[Findings], root: Path, upscale: Callable[[np.ndarray], np.ndarray]) -> Image.Image:
    """A row for each: the place in SR, the same in HR, and what was measured there. root: as for `inspect`."""
    findings = list(findings)
    sheet = Image.new("RGB", (2 * (CROP + GAP) + 300, HEAD + len(findings) * (CROP + GAP)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for column, title in enumerate(("restored", "original")):
        draw.text((column * (CROP + GAP) + CROP / 2, HEAD / 2), title, "black", font, anchor="mm")
    for row, found in enumerate(findings):
        hr, lr = hr_and_lr(read_rgb_array(root / found.image))
        y = HEAD + row * (CROP + GAP)
        for column, picture in enumerate((upscale(lr), hr)):
            left = max(0, min(found.left - CROP // 2, hr.shape[1] - CROP))
            top = max(0, min(found.top - CROP // 2, hr.shape[0] - CROP))
            crop = Image.fromarray(picture[top : top + CROP, left : left + CROP])
            sheet.paste(crop, (column * (CROP + GAP), y))
        said = f"{found.image.rpartition('/')[2]}\ncontrast {found.contrast:.1f}, original {found.hr_contrast:.1f}"
        said += f"\nat {found.left},{found.top}\ncolour shift {found.colour_shift:.2f}"
        draw.text((2 * (CROP + GAP) + 4, y + 4), said, "black", font)
    return sheet
