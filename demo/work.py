"""What the page computes: every method on one picture. Knows no page; files in, files out."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

import sr
from sr.errors import ImageError
from sr.images import read_image, read_rgb_array, write_png
from sr.methods import METHODS as ALL_METHODS
from sr.methods import Upscaler, is_trained
from sr.metrics import psnr, ssim
from sr.protocols import PROTOCOLS
from sr.resize import hr_and_lr

METHODS = {"nearest": "Nearest neighbour", "bicubic": "Bicubic", "srresnet": "SRResNet", "srgan": "SRGAN"}
"""What every picture is enlarged by: method -> its name for people."""
MORE = {name: method.title for name, method in ALL_METHODS.items() if name not in METHODS and is_trained(name)}
"""What visitors can add."""
ORIGINAL = {"original": "Original"}
FILTERS = ("nearest", "bicubic")
RUNTIMES = {"torch": "torch", "openvino": "OpenVINO"}
SCALE = 4

MAX_UPSCALE_PIXELS = 1_000_000
"""Largest picture for Upscale; its result has 16 times as many pixels, and a browser holds four of those."""
MAX_COMPARE_PIXELS = SCALE**2 * 250_000
MIN_COMPARE_SIDE = 20  # SSIM's 11-pixel window inside a 4-pixel border, as a multiple of 4
MAX_FILE_MIB = 64

Report = Callable[[float, str], None]
"""Called with the share of the work that is done (0 to 1) and what is being done. What it raises ends the work."""


@dataclass(frozen=True)
class Result:
    method: str
    label: str
    path: Path  # PNG
    seconds: float | None  # None for the original
    how: str  # what computed it, for people
    psnr: dict[str, float]  # protocol -> dB; empty where there is no truth to compare with
    ssim: dict[str, float]


@dataclass(frozen=True)
class Outcome:
    mode: str  # "upscale" or "compare"
    name: str  # of the picture's file
    lr_size: tuple[int, int]  # width, height
    device: str
    results: tuple[Result, ...]


@dataclass(frozen=True)
class Wishes:
    """more: methods out of MORE, other names are ignored. exact: in torch, fp32, the pixels that tables are made of."""

    more: Sequence[str] = ()
    exact: bool = False

    @property
    def methods(self) -> dict[str, str]:
        """METHODS and `more`, with their names for people, in the order of the paper's tables."""
        names = METHODS | {name: MORE[name] for name in self.more if name in MORE}
        return {name: names[name] for name in ALL_METHODS if name in names}


DEFAULT = Wishes()


@cache
def upscaler(method: str, exact: bool = False) -> Upscaler:
    return sr.load(method, runtime="torch", precision="fp32") if exact else sr.load(method)


def upscale(path: Path, folder: Path, report: Report, wishes: Wishes = DEFAULT) -> Outcome:
    """Enlarge the picture at `path` as it is wished. The PNGs go to `folder`.

    Raises ImageError for a file that is no usable picture or larger than MAX_UPSCALE_PIXELS.
    """
    image = read_image(_open(path), max_pixels=MAX_UPSCALE_PIXELS)
    results = []
    for method, label in wishes.methods.items():
        enlarged, seconds = _timed(method, image, wishes, report)
        made = _save(enlarged, folder, path, method)
        results.append(Result(method, label, made, seconds, how(method, wishes.exact), {}, {}))
    return Outcome("upscale", path.name, image.size, upscaler("srgan", wishes.exact).device, tuple(results))


def compare(path: Path, folder: Path, report: Report, wishes: Wishes = DEFAULT) -> Outcome:
    """Reduce the picture at `path` x4 by MATLAB's bicubic, enlarge it as `upscale` does, measure against the original.

    The original is cropped at the right and the bottom to a multiple of 4. The PNGs go to `folder`.
    Raises ImageError for a file that is no usable picture, larger than MAX_COMPARE_PIXELS, or with a side below
    MIN_COMPARE_SIDE.
    """
    whole = read_rgb_array(_open(path), max_pixels=MAX_COMPARE_PIXELS)
    if min(whole.shape[:2]) < MIN_COMPARE_SIDE:
        size = f"{whole.shape[1]} x {whole.shape[0]} pixels"
        raise ImageError(
            f"{path.name} has {size}, but Compare needs at least {MIN_COMPARE_SIDE} x {MIN_COMPARE_SIDE} "
            "to measure anything; use a larger picture, or Upscale"
        )
    hr, lr = hr_and_lr(whole, SCALE)
    results = []
    for method, label in wishes.methods.items():
        restored, seconds = _timed(method, lr, wishes, report)
        figures = [{protocol: metric(restored, hr, protocol) for protocol in PROTOCOLS} for metric in (psnr, ssim)]
        made = _save(restored, folder, path, method)
        results.append(Result(method, label, made, seconds, how(method, wishes.exact), *figures))
    results.append(Result("original", ORIGINAL["original"], _save(hr, folder, path, "original"), None, "", {}, {}))
    size = (lr.shape[1], lr.shape[0])
    return Outcome("compare", path.name, size, upscaler("srgan", wishes.exact).device, tuple(results))


def _open(path: Path) -> BytesIO:
    # A file object, so that messages name the file as its owner knows it and not the server's folder.
    file = BytesIO(path.read_bytes())
    file.name = path.name
    return file


def how(method: str, exact: bool) -> str:
    """What computed a method's last picture, for people; nothing for the fixed filters."""
    used = upscaler(method, exact)
    return "" if method in FILTERS else f"{RUNTIMES[used.runtime]} in {used.precision}"


def _timed(method: str, image, wishes: Wishes, report: Report):
    """The enlarged image and the seconds it took, without loading the weights."""
    methods = wishes.methods
    index = list(methods).index(method)
    report(index / len(methods), methods[method])
    engine = upscaler(method, wishes.exact)

    def tile(done: int, total: int) -> None:
        report((index + done / total) / len(methods), f"{methods[method]}, tile {done} of {total}")

    start = time.perf_counter()
    enlarged = engine.upscale(image, progress=tile)
    return enlarged, time.perf_counter() - start


def _save(image: Image.Image | np.ndarray, folder: Path, source: Path, method: str) -> Path:
    path = folder / f"{source.stem[:60]}_x{SCALE}_{method}.png"
    write_png(image if isinstance(image, Image.Image) else Image.fromarray(image), path)
    return path
