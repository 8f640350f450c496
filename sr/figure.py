"""The figure that the paper opens with (Fig. 2): an image restored by several methods, PSNR and SSIM under each."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sr.errors import SRError
from sr.methods import load
from sr.metrics import psnr, ssim

TITLES = {"nearest": "nearest", "bicubic": "bicubic", "srcnn": "SRCNN", "drcn": "DRCN", "espcn": "ESPCN"}
TITLES |= {"srresnet": "SRResNet", "srgan": "SRGAN"}
GAP, LINE = 8, 22  # pixels between panels, height of a line of text


def restore(
    lr: np.ndarray, methods: Sequence[str], device: str = "auto", progress: Callable[[str], object] = lambda name: None
) -> dict[str, np.ndarray]:
    """Enlarges an LR image, uint8 (H, W, 3), by every method, in fp32. Returns method -> uint8 (4H, 4W, 3).

    progress: called with a method's name before it starts.
    """
    restored = {}
    for name in methods:
        progress(name)
        restored[name] = load(name, device=device, precision="fp32").upscale(lr)
    return restored


def draw_row(
    hr: np.ndarray, restored: dict[str, np.ndarray], crop: tuple[int, int, int, int], zoom: int
) -> Image.Image:
    """One row: the same crop of every restored image and of the original, pixels repeated `zoom` times.

    crop: left, top, width, height in HR pixels (SRError when it leaves the image). PSNR in dB and SSIM are
    those of the whole image, protocol "paper".
    """
    left, top, width, height = crop
    if left < 0 or top < 0 or width < 1 or height < 1 or left + width > hr.shape[1] or top + height > hr.shape[0]:
        raise SRError(f"the crop {left} {top} {width} {height} leaves the image, which is {hr.shape[1]}x{hr.shape[0]}")
    panels = {TITLES.get(name, name): (image, _figures(image, hr)) for name, image in restored.items()}
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
