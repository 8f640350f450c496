"""Stimuli as PNG files: every image by every method, in fp32 on the CPU."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from mos_study.config import HR
from mos_study.pictures import Picture
from sr.images import read_rgb_array
from sr.methods import METHODS, load
from sr.resize import hr_and_lr

Upscale = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Rendered:
    method: str
    png: bytes  # RGB, 8 bits, without metadata
    width: int
    height: int


def load_upscalers(pictures: Iterable[Picture]) -> dict[str, Upscale]:
    """The methods that the pictures need of `sr.methods.METHODS`, by name."""
    needed = {name for picture in pictures for name in picture.methods if name not in picture.made}
    # Only fp32 on the CPU gives the same pixels on the next day.
    return {
        name: load(name, device="cpu", precision="fp32", runtime="torch").upscale for name in METHODS if name in needed
    }


def render(picture: Picture, upscalers: Mapping[str, Upscale]) -> Iterator[Rendered]:
    """The picture by each of its methods. All are RGB and of one size, so that neither tells the method."""
    hr = read_rgb_array(picture.hr)
    if picture.lr:
        lr = read_rgb_array(picture.lr)
    else:
        hr, lr = hr_and_lr(hr)
    for method in picture.methods:
        if method == HR:
            version = hr
        elif method in picture.made:
            version = read_rgb_array(picture.made[method])
        else:
            version = upscalers[method](lr)
        if picture.crop:
            version = cut(version, *picture.crop)
        yield Rendered(method, _png(version), width=version.shape[1], height=version.shape[0])


def cut(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """The middle of an image (H, W, 3), at most `width` x `height`."""
    left, top = max(0, image.shape[1] - width) // 2, max(0, image.shape[0] - height) // 2
    return image[top : top + height, left : left + width]


def _png(image: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    return file.getvalue()
