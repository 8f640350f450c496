"""What can enlarge an image, by name. Torch is imported when a method is loaded; the names are there at once."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image

from sr.errors import ImageError, SRError
from sr.images import normalise
from sr.tiles import Progress, pieces

WEIGHTS = Path(__file__).parent / "weights"
RUNTIMES = ("auto", "torch", "openvino")


class Engine(Protocol):
    """Enlarges one window, uint8 (H, W, 3) -> uint8 (scale*H, scale*W, 3).

    overlap: LR pixels around a window's kept part that it must see so that seams do not show.
    tile: longest side of a window in LR pixels that keeps its memory small.
    any_planes: takes any number of channels, alpha among them.
    runtime: "torch" or "openvino", what computes it.
    """

    scale: int
    overlap: int
    tile: int
    any_planes: bool
    device: str
    runtime: str
    precision: str

    def __call__(self, window: np.ndarray) -> np.ndarray: ...


def _filter(name: str, device: str, precision: str, runtime: str, weights: Path | None) -> Engine:
    from sr.inference import Filter, resolve_device

    if weights is not None or precision not in ("auto", "fp32") or runtime not in ("auto", "torch"):
        raise SRError(f"{name} is a fixed filter: it has no weights, and no precision and no runtime to choose")
    return Filter(name, resolve_device("cpu" if device == "auto" else device))


def _network(name: str, device: str, precision: str, runtime: str, weights: Path | None) -> Engine:
    from sr.inference import load_network
    from sr.runtimes import choose

    shipped = WEIGHTS / f"{name}.safetensors"
    if weights is None and not shipped.is_file():
        raise SRError(
            f"{name} comes without weights: train them with `python train.py --config {name}`, then give the file "
            f"(--weights on the command line, weights= in sr.load)"
        )
    weights = weights or shipped
    return choose(load_network(weights), weights, device, precision, runtime)


class Method(NamedTuple):
    """title: its name in the paper's tables. engine: makes it for (name, device, precision, runtime, weights)."""

    title: str
    engine: Callable[[str, str, str, str, Path | None], Engine]


METHODS: dict[str, Method] = {
    "nearest": Method("nearest", _filter),
    "bicubic": Method("bicubic", _filter),
    "srcnn": Method("SRCNN", _network),
    "drcn": Method("DRCN", _network),
    "espcn": Method("ESPCN", _network),
    "srresnet": Method("SRResNet", _network),
    "srresnet-vgg22": Method("SRResNet-VGG22", _network),
    "srgan-mse": Method("SRGAN-MSE", _network),
    "srgan-vgg22": Method("SRGAN-VGG22", _network),
    "srgan": Method("SRGAN", _network),
}
"""All methods that enlarge, by name, in the order to show them. srresnet is SRResNet-MSE, srgan SRGAN-VGG54."""


def is_trained(name: str) -> bool:
    """Whether a method of `METHODS` works as it comes: it is a filter, or its weights are shipped."""
    return METHODS[name].engine is _filter or (WEIGHTS / f"{name}.safetensors").is_file()


def load(
    name: str = "srgan",
    *,
    device: str = "auto",
    precision: str = "auto",
    runtime: str = "auto",
    weights: str | Path | None = None,
) -> "Upscaler":
    """Load a method of `METHODS`.

    device: "auto" (CUDA, else MPS, else the CPU), "cpu", "cuda", "cuda:N" or "mps".
    precision: "auto", "fp32", "bf16" or "fp16", the latter two where the device has them, or "int8" (OpenVINO). auto is
        fp16 on CUDA and fp32 elsewhere, but int8 where OpenVINO computes a network whose int8 is as good
        (`sr.runtimes`).
    runtime: "auto" (OpenVINO for SRResNet's architecture on a CPU in fp32 or int8, else torch), "torch" or "openvino".
        Torch in fp32 on a CPU is what results are measured and kept with.
    weights: a safetensors file with its model card next to it, instead of the method's own weights.
    Warns once when auto takes torch because OpenVINO is missing, fails or computes something else.
    Raises SRError for an unknown name, a device, precision or runtime that is not there, a method that comes without
    weights of its own, and weights that are missing, damaged or do not fit their card.
    """
    if name not in METHODS:
        raise SRError(f"unknown method {name!r}; use one of {', '.join(METHODS)}")
    if runtime not in RUNTIMES:
        raise SRError(f"unknown runtime {runtime!r}; use {', '.join(RUNTIMES)}")
    given = None if weights is None else Path(weights)
    return Upscaler(name, METHODS[name].engine(name, device, precision, runtime, given))


class Upscaler:
    """A loaded method.

    name: as in `METHODS`. scale: enlargement per side. device: where it computes.
    """

    def __init__(self, name: str, engine: Engine, tile: int | None = None):
        """tile: longest side of a window in LR pixels, instead of the engine's."""
        self.name, self.scale, self.device = name, engine.scale, engine.device
        self._engine, self._given_tile = engine, tile

    @property
    def runtime(self) -> str:
        """ "torch" or "openvino". The first picture may turn OpenVINO into torch (`load`)."""
        return self._engine.runtime

    @property
    def precision(self) -> str:
        """ "fp32", "bf16", "fp16" or "int8". The first picture may turn int8 into fp32, as it may the runtime."""
        return self._engine.precision

    def upscale(self, image: Image.Image | np.ndarray, *, progress: Progress | None = None) -> Image.Image | np.ndarray:
        """Enlarge an image; the result is of the same kind.

        image: a PIL image, which `sr.images.normalise` first brings to mode L, LA, RGB or RGBA (the result's mode), or
            a uint8 array (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA.
        progress: called as progress(done, total) after every window. An exception that it raises ends the work and
            reaches the caller.

        Grey is enlarged as RGB and brought back to BT.601 luma. Alpha is enlarged by bicubic interpolation ("nearest":
        by replication); colours are not premultiplied, and those of transparent pixels leak into no visible one.
        Besides the result, memory is needed for one window, whatever the image's size.
        Raises ImageError for any other image.
        """
        if isinstance(image, Image.Image):
            return self._upscale_picture(normalise(image), progress)
        pixels = _check_array(image)
        height, width, planes = pixels.shape
        result = np.empty((height * self.scale, width * self.scale, planes), np.uint8)
        for top, left, piece in self._pieces(pixels, progress):
            result[top : top + piece.shape[0], left : left + piece.shape[1]] = piece
        return result[..., 0] if image.ndim == 2 else result

    def _upscale_picture(self, image: Image.Image, progress: Progress | None) -> Image.Image:
        pixels = np.asarray(image)
        result = Image.new(image.mode, (image.width * self.scale, image.height * self.scale))
        for top, left, piece in self._pieces(pixels[..., None] if image.mode == "L" else pixels, progress):
            result.paste(Image.fromarray(piece[..., 0] if image.mode == "L" else piece), (left, top))
        result.info.update(image.info)
        return result

    def _pieces(self, pixels: np.ndarray, progress: Progress | None) -> Iterator[tuple[int, int, np.ndarray]]:
        """Enlarged pieces of uint8 (H, W, C) that cover the result, each with its place: (top, left, piece)."""
        overlap = self._engine.overlap
        tile = max(self._given_tile or self._engine.tile, 4 * overlap)
        return pieces(pixels, self._enlarge, scale=self.scale, tile=tile, overlap=overlap, progress=progress)

    def _enlarge(self, window: np.ndarray) -> np.ndarray:
        """uint8 (H, W, C) of grey, grey and alpha, RGB or RGBA -> the same, enlarged."""
        from sr.inference import enlarge_alpha, spread_colour

        if self._engine.any_planes:
            return self._engine(window)
        planes = window.shape[2]
        alpha = window[..., -1:] if planes in (2, 4) else None
        colour = window[..., :3] if planes >= 3 else window[..., :1].repeat(3, axis=2)
        if alpha is not None:
            colour = spread_colour(colour, alpha)
        large = self._engine(colour)
        if planes < 3:
            large = np.asarray(Image.fromarray(large).convert("L"))[..., None]
        return large if alpha is None else np.concatenate([large, enlarge_alpha(alpha, self.scale)], axis=2)


def _check_array(image: np.ndarray) -> np.ndarray:
    """The array as (H, W, C)."""
    expected = "a PIL image or a uint8 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
    if not isinstance(image, np.ndarray):
        raise ImageError(f"the image is of type {type(image).__name__}; expected {expected}")
    if image.dtype != np.uint8:
        raise ImageError(f"the image array is of type {image.dtype}, whose range is not known; expected {expected}")
    if image.ndim not in (2, 3) or 0 in image.shape or image.shape[2:] not in ((), (1,), (3,), (4,)):
        raise ImageError(f"the image array has shape {image.shape}; expected {expected}")
    return image[..., None] if image.ndim == 2 else image
