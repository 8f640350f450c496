"""Enlarged pictures as files of several formats, with the metadata that they came with."""

import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from PIL import Image
from PIL.ExifTags import IFD

from sr.errors import SRError
from sr.files import write_atomically
from sr.metadata import stored_text

_MARKER = 65_533  # bytes that a segment of a JPEG file holds
_XMP_HEADER = 29
_PREDICTOR, _XMP_TAG = 317, 700


class Format(NamedTuple):
    """suffixes: the first is what files get. max_side: in pixels. options: for Pillow."""

    suffixes: tuple[str, ...]
    max_side: int
    options: dict[str, Any]


OUTPUTS = {
    # Level 3 takes a third of the default's time for a tenth more bytes.
    "png": Format((".png",), 2**31 - 1, {"compress_level": 3}),
    "jpeg": Format((".jpg", ".jpeg"), 65_500, {"quality": 95, "subsampling": "4:4:4"}),
    # As small as the default effort (80 and 4), in an eighth of the time.
    "webp": Format((".webp",), 16_383, {"lossless": True, "exact": True, "quality": 20, "method": 2}),
    "tiff": Format((".tif", ".tiff"), 2**31 - 1, {}),
}
"""Formats that results are written in. All but JPEG are lossless."""


def check_fits(size: tuple[int, int], format: str, name: str) -> None:
    """Raises SRError when a picture of (width, height) pixels is larger than its format can be."""
    limit = OUTPUTS[format].max_side
    if max(size) > limit:
        raise SRError(
            f"{name} becomes {size[0]} x {size[1]} pixels, and {format} files have at most {limit} a side; "
            "choose another format"
        )


def write_image(image: Image.Image, target: Path | BinaryIO, format: str, name: str = "the image") -> None:
    """Write a picture as `sr.images.normalise` makes them, with the metadata in its `info`.

    target: a path, where the file appears complete or not at all and replaces an existing one, or a binary file object.
    format: of `OUTPUTS`. JPEG gets transparent pictures laid over white, with a warning that names the image.
    Raises SRError when it cannot be written.
    """
    image = _fitting(image, format, name)
    options = OUTPUTS[format].options | _METADATA[format](image.info, name)

    def save(place: Path | BinaryIO) -> None:
        image.save(place, format=format.upper(), **options)

    try:
        if isinstance(target, Path):
            write_atomically(target, save)
        else:
            save(target)
    except BrokenPipeError:
        raise
    except (OSError, ValueError, RuntimeError, struct.error) as error:
        place = target if isinstance(target, Path) else name
        raise SRError(f"{place} cannot be written: {getattr(error, 'strerror', None) or error}") from error


def _fitting(image: Image.Image, format: str, name: str) -> Image.Image:
    """The picture in a mode that the format has."""
    if format == "jpeg" and image.mode in ("LA", "RGBA"):
        warnings.warn(f"{name} has transparency, which JPEG cannot hold; it is laid over white", stacklevel=3)
        white = Image.new("RGBA", image.size, "white")
        flat = Image.alpha_composite(white, image.convert("RGBA")).convert(image.mode[:-1])
        flat.info = image.info
        return flat
    if format == "webp" and image.mode in ("L", "LA"):
        colour = image.convert("RGBA" if image.mode == "LA" else "RGB")
        colour.info = {key: value for key, value in image.info.items() if key != "icc_profile"}  # of a grey picture
        return colour
    return image


def _png(info: dict[str, Any], name: str) -> dict[str, Any]:
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    if "xmp" in info:
        text.add_itxt("XML:com.adobe.xmp", info["xmp"].decode("utf-8", "replace"))
    return {key: info[key] for key in ("icc_profile", "exif", "dpi") if key in info} | {"pnginfo": text}


def _jpeg(info: dict[str, Any], name: str) -> dict[str, Any]:
    options = {key: info[key] for key in ("icc_profile", "exif", "xmp", "dpi") if key in info}
    for key, limit in (("exif", _MARKER), ("xmp", _MARKER - _XMP_HEADER)):
        if len(options.get(key, b"")) > limit:
            warnings.warn(f"{name} has more {key.upper()} data than JPEG can hold; it is left out", stacklevel=3)
            del options[key]
    return options


def _webp(info: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: info[key] for key in ("icc_profile", "exif", "xmp") if key in info}


def _tiff(info: dict[str, Any], name: str) -> dict[str, Any]:
    tags = Image.Exif()
    tags.load(info.get("exif", b""))
    for tag in list(tags):
        tags[tag] = stored_text(tags[tag])
    options = {key: info[key] for key in ("icc_profile", "dpi") if key in info} | {"exif": tags}
    if "xmp" in info:
        tags[_XMP_TAG] = info["xmp"]
    if IFD.Exif in tags or IFD.GPSInfo in tags:
        camera = tags.get_ifd(IFD.Exif)
        if IFD.Interop in camera:
            camera[IFD.Interop] = tags.get_ifd(IFD.Interop)
        camera.update({key: stored_text(value) for key, value in camera.items()})
        return options  # Pillow writes these directories into uncompressed files alone
    # With differences of neighbours, LZW is as small as Deflate and six times as fast.
    tags[_PREDICTOR] = 2
    return options | {"compression": "tiff_lzw"}


_METADATA: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
    "png": _png, "jpeg": _jpeg, "webp": _webp, "tiff": _tiff,
}  # fmt: skip
