"""Image files in and out. Whatever comes in leaves here as 8-bit grey or RGB, with or without alpha, upright."""

import os
import re
import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from sr.errors import ImageError, SRError
from sr.files import write_atomically
from sr.metadata import EXIF_ERRORS, clean_dpi, clean_exif, clean_xmp, orientation

MAX_INPUT_PIXELS = 64_000_000
"""Pixels that `read_image` accepts unless told otherwise. Enlarged x4 they fill 4 GB of memory."""

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF", "JPEG2000")
"""Pillow's names of the formats that are read. Its others run programs (EPS), hold vectors or are icons."""

_MAX_METADATA = 2**26  # bytes

# Pillow documents no closed set: its decoders let these through when a file is damaged.
_DECODER_ERRORS = (OSError, EOFError, SyntaxError, ValueError, TypeError, IndexError, KeyError, OverflowError)
_DECODER_ERRORS += (RuntimeError, struct.error, zlib.error)

_COLOUR_SPACES = {"L": b"GRAY", "LA": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB "}


def read_image(source: str | os.PathLike | BinaryIO, *, max_pixels: int = MAX_INPUT_PIXELS) -> Image.Image:
    """Read a still image of one of `FORMATS` completely, as `normalise` describes.

    source: a path or a binary file object. What cannot seek, such as a pipe, is read into memory first.
    max_pixels: more are refused from the header alone, before anything is decoded.
    Raises ImageError, in one sentence that names the file, when there is no such file, when it is empty, no image,
    damaged, animated or too large, and when its pixels have no agreed range (floating point, 32-bit integers).
    """
    if not isinstance(source, str | os.PathLike):
        return _read(source, str(getattr(source, "name", "the image")), max_pixels)
    try:
        file = open(source, "rb")  # noqa: SIM115 - closed by `with` below, outside of this try
    except OSError as error:
        raise ImageError(f"{source} cannot be read: {error.strerror}") from error
    with file:
        return _read(file, str(source), max_pixels)


def read_rgb_array(source: str | os.PathLike | BinaryIO, *, max_pixels: int = MAX_INPUT_PIXELS) -> np.ndarray:
    """Read an image as uint8 RGB, (H, W, 3). Grey is repeated; transparent pixels are laid over white."""
    image = read_image(source, max_pixels=max_pixels)
    if image.mode in ("LA", "RGBA"):
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.array(image.convert("RGB"))


def write_png(image: Image.Image, path: str | os.PathLike) -> None:
    """Write a PNG with the image's ICC profile, and no other metadata: `sr.saving.write_image` writes all of it.

    The file appears complete or not at all; an existing one is replaced. Raises SRError when it cannot be written.
    """
    profile = image.info.get("icc_profile")
    try:
        write_atomically(Path(path), lambda temporary: image.save(temporary, format="PNG", icc_profile=profile))
    except OSError as error:
        raise SRError(f"{path} cannot be written: {error.strerror or error}") from error


def normalise(image: Image.Image, name: str = "the image") -> Image.Image:
    """A copy in mode L, LA, RGB or RGBA, upright, with the metadata that still holds.

    Its `info` has "icc_profile" if there is one that fits the mode, and "exif", "xmp" (bytes) and "dpi" without
    what is not true of it any more (`sr.metadata`); nothing else.

    EXIF orientation is applied. Palettes become RGB or, with transparency, RGBA; 1 bit becomes L. CMYK becomes sRGB
    through its embedded profile, or RGB by Pillow's plain formula where it has none. 16 bits per channel become 8
    with a warning (colour by Pillow, which drops the lower 8; grey by rounding). Nothing depends on the values.
    name: what an error message or warning calls it.
    Raises ImageError for animations, damaged data, empty images, floating point and 32-bit integers.
    """
    if 0 in image.size:
        raise ImageError(f"{name} is empty: {image.width} x {image.height} pixels")
    try:
        _refuse_frames(image, name)
        # Pillow says how the file stores its samples only until it has decoded them.
        stored = _stored_samples(image)
        image.load()
    except ImageError:
        raise
    except _DECODER_ERRORS as error:
        raise ImageError(f"{name} is damaged or truncated: {error}") from error
    # BGR;16 packs a whole pixel into 16 bits.
    if re.match(r"(?!BGR).*;1[26]", stored) or image.mode.startswith("I;16"):
        warnings.warn(f"{name} has more than 8 bits per channel; they are reduced to 8", stacklevel=2)
    xmp, dpi = clean_xmp(image.info), clean_dpi(image.info)
    image, exif = _upright(image, name)
    image = _to_8_bit(image, stored, name)
    profile = image.info.get("icc_profile")
    if _profile_space(profile) != _COLOUR_SPACES[image.mode]:
        profile = None
    kept = {"icc_profile": profile, "exif": exif, "xmp": xmp, "dpi": dpi}
    image.info = {key: value for key, value in kept.items() if value}
    return image


def _read(file: BinaryIO, name: str, max_pixels: int) -> Image.Image:
    if not file.seekable():
        limit = 8 * max_pixels + _MAX_METADATA  # 16 bits for red, green, blue and alpha
        file = BytesIO(file.read(limit + 1))
        if file.getbuffer().nbytes > limit:
            raise ImageError(f"{name} has more than {limit / 1e6:.0f} MB; crop or shrink it first")
    if file.seek(0, os.SEEK_END) == 0:
        raise ImageError(f"{name} is empty (0 bytes)")
    file.seek(0)
    Image.init()  # registers every format; open() knows only the registered ones of `formats`
    too_large = f"more than the limit of {max_pixels / 1e6:g} Mpixel; crop or shrink it first"
    try:
        image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        known = ", ".join(FORMATS)
        raise ImageError(f"{name} is not an image that can be read ({known})") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{name} has {too_large}") from error
    except _DECODER_ERRORS as error:
        raise ImageError(f"{name} is damaged or truncated: {error}") from error
    with image:
        if image.width * image.height > max_pixels:
            size = f"{image.width} x {image.height} pixels = {image.width * image.height / 1e6:.3g} Mpixel"
            raise ImageError(f"{name} has {size}, {too_large}")
        return normalise(image, name)


def _refuse_frames(image: Image.Image, name: str) -> None:
    # A second picture in an MPO is a preview, a depth map or the other eye; cameras call such files .jpg.
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise ImageError(
            f"{name} is animated or has several pages ({frames} frames); save one frame as a still image first"
        )


def _stored_samples(image: Image.Image) -> str:
    """Pillow's raw mode of the file's samples, such as "RGB;16B"; "" for an image that is already decoded."""
    tiles = getattr(image, "tile", [])
    if not tiles:
        return ""
    arguments = tiles[0].args
    if tiles[0].codec_name in ("ppm", "ppm_plain"):
        return "I;16B" if arguments[-1] > 255 else ""
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _upright(image: Image.Image, name: str) -> tuple[Image.Image, bytes]:
    """A copy with the EXIF orientation applied, and the EXIF data that still hold."""
    turn, exif = None, b""
    try:
        turn = orientation(image)
        exif = clean_exif(image)
    except EXIF_ERRORS as error:
        warnings.warn(f"{name} has unreadable EXIF data ({error}), which are left out", stacklevel=3)
    return image.copy() if turn is None else image.transpose(turn), exif


def _to_8_bit(image: Image.Image, stored: str, name: str) -> Image.Image:
    transparent = image.has_transparency_data
    if image.mode.startswith("I;16"):
        return _reduce_grey(image, 4095 if stored.startswith("I;12") else 65535)
    if image.mode == "I" and stored == "I;16B":  # PNG and PPM: Pillow widens 16-bit grey to 32
        return _reduce_grey(image, 65535)
    if image.mode in ("I", "F"):
        kind = "floating-point" if image.mode == "F" else "32-bit integer"
        raise ImageError(f"{name} has {kind} pixels, whose range is not known; convert it to 8 bits per channel first")
    if image.mode == "CMYK":
        return _cmyk_to_rgb(image, name)
    if stored.startswith("LA;16") or image.mode in ("1", "L", "LA", "La"):
        return image.convert("LA" if transparent else "L")
    if stored.startswith("RGB;16") and "transparency" in image.info:
        image.info["transparency"] = tuple(value >> 8 for value in image.info["transparency"])
    return image.convert("RGBA" if transparent else "RGB")


def _reduce_grey(image: Image.Image, maximum: int) -> Image.Image:
    samples = np.asarray(image).astype(np.uint32)
    grey = Image.fromarray(((samples * 255 + maximum // 2) // maximum).astype(np.uint8))
    transparent = image.info.get("transparency")
    if transparent is not None:
        grey.putalpha(Image.fromarray(np.where(samples == transparent, 0, 255).astype(np.uint8)))
    grey.info = image.info
    return grey


def _cmyk_to_rgb(image: Image.Image, name: str) -> Image.Image:
    profile = image.info.get("icc_profile")
    if _profile_space(profile) == b"CMYK":
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            return ImageCms.profileToProfile(
                image,
                source,
                ImageCms.createProfile("sRGB"),
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
        except (ImageCms.PyCMSError, OSError) as error:
            warnings.warn(f"{name} has an unusable CMYK profile ({error}); its colours are approximate", stacklevel=2)
    return image.convert("RGB")


def _profile_space(profile: bytes | None) -> bytes | None:
    """Colour space of the pixels that an ICC profile describes (ICC.1:2022, section 7.2.6)."""
    return profile[16:20] if profile else None
