"""Contact sheets: the middle of every image of a set, pixel by pixel, as every method restored it."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CROP = 112  # pixels a side at most
GAP, HEAD, NAMES = 4, 24, 84  # pixels between pictures, for the methods' titles, and for the images' names


class Sheets:
    """Keeps the middle of every picture that it is shown (`sr.evaluate.Show`)."""

    def __init__(self) -> None:
        self._crops: dict[str, dict[str, dict[str, np.ndarray]]] = {}

    def __call__(self, set_name: str, image: str, method: str, picture: np.ndarray) -> None:
        height, width = (min(CROP, side) for side in picture.shape[:2])
        top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
        crop = picture[top : top + height, left : left + width].copy()
        self._crops.setdefault(set_name, {}).setdefault(image, {})[method] = crop

    def draw(self, titles: Mapping[str, str]) -> dict[str, Image.Image]:
        """Set -> its sheet: a row an image, a column a method of `titles`."""
        return {name: _draw(images, list(titles), list(titles.values())) for name, images in self._crops.items()}


def _draw(images: Mapping[str, Mapping[str, np.ndarray]], methods: Sequence[str], titles: Sequence[str]) -> Image.Image:
    step = CROP + GAP
    sheet = Image.new("RGB", (NAMES + step * len(methods), HEAD + step * len(images)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for column, title in enumerate(titles):
        draw.text((NAMES + column * step + CROP / 2, HEAD / 2), title, "black", font, anchor="mm")
    for row, (name, crops) in enumerate(images.items()):
        draw.text((4, HEAD + row * step + CROP / 2), name, "black", font, anchor="lm")
        for column, method in enumerate(methods):
            sheet.paste(Image.fromarray(crops[method]), (NAMES + column * step, HEAD + row * step))
    return sheet
