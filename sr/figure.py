"""The figure that the paper opens with (Fig. 2): an image restored by several methods, PSNR and SSIM under each."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sr.errors import SRError
from sr.images import read_rgb_array
from sr.methods import METHODS, Upscaler
from sr.metrics import psnr, ssim
from sr.resize import hr_and_lr

GAP, LINE = 8, 22  # pixels between panels, height of a line of text


Crop = tuple[int, int, int, int]
"""Left, top, width and height in HR pixels."""


def draw_rows(
    images: Sequence[tuple[Path, Crop | None]],
    upscalers: Sequence[Upscaler],
    zoom: int = 1,
    progress: Callable[[str], object] = lambda name: None,
) -> Image.Image:
    """The figure: a row for each HR image, reduced and restored by every method, of which a crop (None: all) is shown.

    zoom: see `draw_row`. progress: called with a method's name when it is done.
    Raises SRError for unusable images and crops that leave them.
    """
    rows = []
    for path, crop in images:
        hr, lr = hr_and_lr(read_rgb_array(path))
        restored = {}
        for upscaler in upscalers:
            restored[upscaler.name] = upscaler.upscale(lr)
            progress(upscaler.name)
        rows.append(draw_row(hr, restored, crop or (0, 0, hr.shape[1], hr.shape[0]), zoom))
    return stack(rows)


def split_crop(text: str) -> tuple[Path, Crop | None]:
    """ "IMAGE:X,Y,W,H" -> the file and the crop; "IMAGE" -> the file and None."""
    match = re.fullmatch(r"(.+):(\d+),(\d+),(\d+),(\d+)", text)
    if match is None:
        return Path(text), None
    left, top, width, height = (int(number) for number in match.groups()[1:])
    return Path(match[1]), (left, top, width, height)


def draw_row(hr: np.ndarray, restored: dict[str, np.ndarray], crop: Crop, zoom: int) -> Image.Image:
    """One row: the same crop of every restored image and of the original, pixels repeated `zoom` times.

    crop: SRError when it leaves the image. PSNR in dB and SSIM are
    those of the whole image, protocol "paper".
    """
    left, top, width, height = crop
    if left < 0 or top < 0 or width < 1 or height < 1 or left + width > hr.shape[1] or top + height > hr.shape[0]:
        raise SRError(f"the crop {left} {top} {width} {height} leaves the image, which is {hr.shape[1]}x{hr.shape[0]}")
    titles = {name: METHODS[name].title if name in METHODS else name for name in restored}
    panels = {titles[name]: (image, _figures(image, hr)) for name, image in restored.items()}
    panels["original"] = (hr, "")
    panel_width = width * zoom + GAP
    row = Image.new("RGB", (panel_width * len(panels) - GAP, height * zoom + 2 * LINE), "white")
    draw = ImageDraw.Draw(row)
    font = ImageFont.load_default(15)
    for i, (title, (image, figures)) in enumerate(panels.items()):
        piece = Image.fromarray(image[top : top + height, left : left + width])
        row.paste(piece.resize((width * zoom, height * zoom), Image.Resampling.NEAREST), (i * panel_width, 0))
        centre = i * panel_width + width * zoom / 2
        draw.text((centre, height * zoom + 2), title, "black", font, anchor="ma")
        draw.text((centre, height * zoom + LINE), figures, "black", font, anchor="ma")
    return row


def stack(rows: list[Image.Image]) -> Image.Image:
    """Rows under each other, left-aligned on white."""
    figure = Image.new("RGB", (max(row.width for row in rows), sum(row.height + GAP for row in rows) - GAP), "white")
    top = 0
    for row in rows:
        figure.paste(row, (0, top))
        top += row.height + GAP
    return figure


def _figures(image: np.ndarray, hr: np.ndarray) -> str:
    return f"{psnr(image, hr, 'paper'):.2f} dB / {ssim(image, hr, 'paper'):.4f}"
