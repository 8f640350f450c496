"""What an image file says besides its pixels, as far as it still holds for an enlarged copy that stands upright."""

import math
import re
import struct
from typing import Any

from PIL import Image
from PIL.ExifTags import IFD, Base

# Of the first directory. In a TIFF file that one also says how the pixels are stored, which holds for that file alone.
_KEPT = (
    Base.ImageDescription, Base.Make, Base.Model, Base.XResolution, Base.YResolution, Base.ResolutionUnit,
    Base.Software, Base.DateTime, Base.Artist, Base.HostComputer, Base.Rating, Base.RatingPercent, Base.Copyright,
    Base.XPTitle, Base.XPComment, Base.XPAuthor, Base.XPKeywords, Base.XPSubject,
)  # fmt: skip
_SIZES = (Base.ExifImageWidth, Base.ExifImageHeight)

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow documents no closed set.
EXIF_ERRORS = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, SyntaxError, TypeError, ValueError)
EXIF_ERRORS += (struct.error,)

# The same facts in XMP, as attributes or as elements, and the thumbnail.
_XMP_NAMES = rb"(?:tiff:(?:Orientation|ImageWidth|ImageLength)|exif:Pixel[XY]Dimension)"
_XMP_DROPPED = re.compile(
    rb"""\s+%(names)s\s*=\s*(?:"[^"]*"|'[^']*')|<(%(names)s)\s*>[^<]*</\1\s*>|<xmp:Thumbnails\b.*?</xmp:Thumbnails\s*>"""
    % {b"names": _XMP_NAMES},
    re.DOTALL,
)


def orientation(image: Image.Image) -> Image.Transpose | None:
    """What turns a loaded image upright, by its EXIF data or its XMP packet.

    Raises what Pillow raises for damaged data. (Its exif_transpose also writes the data anew, which fails more often.)
    """
    return _TURNS.get(image.getexif().get(Base.Orientation))


def clean_exif(image: Image.Image) -> bytes:
    """A loaded image's EXIF data without orientation, pixel sizes and thumbnail; b"" when nothing is left.

    GPS position and maker's note are kept, and what Pillow cannot write is left out. Raises what Pillow raises for
    damaged data.
    """
    exif = image.getexif()
    kept = Image.Exif()
    kept.endian = exif.endian  # makers' notes have no byte order of their own
    first = {tag: exif[tag] for tag in _KEPT if tag in exif}
    camera = {tag: value for tag, value in exif.get_ifd(IFD.Exif).items() if tag not in _SIZES}
    if camera.pop(IFD.Interop, None) and image.format != "TIFF":  # Pillow has closed that file by now
        camera[IFD.Interop] = exif.get_ifd(IFD.Interop)
    for tag, value in first.items():
        if _can_be_written({tag: stored_text(value)}):
            kept[tag] = stored_text(value)
    for group, directory in ((IFD.Exif, camera), (IFD.GPSInfo, exif.get_ifd(IFD.GPSInfo))):
        values = {tag: stored_text(value) for tag, value in directory.items()}
        values = {tag: value for tag, value in values.items() if _can_be_written({group: {tag: value}})}
        if values:
            kept[group] = values
    return kept.tobytes() if len(kept) else b""


def clean_xmp(info: dict[str, Any]) -> bytes:
    """The XMP packet in a Pillow image's `info` without orientation, pixel sizes and thumbnail, or b""."""
    packet = info.get("xmp", b"")
    if isinstance(packet, str):
        packet = packet.encode()
    return _XMP_DROPPED.sub(b"", packet) if isinstance(packet, bytes) else b""


def clean_dpi(info: dict[str, Any]) -> tuple[float, float] | None:
    """Pixels per inch, horizontally and vertically, where a Pillow image's `info` has such as can be."""
    try:
        dpi = tuple(float(value) for value in info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return dpi if len(dpi) == 2 and all(math.isfinite(value) and 1 <= value <= 65_535 for value in dpi) else None


def stored_text(value: Any) -> Any:
    """An EXIF value for Pillow to write. It reads text as Latin-1 but writes it as ASCII; bytes stay as they are."""
    return value.encode("latin-1") if isinstance(value, str) and not value.isascii() else value


def _can_be_written(tags: dict[int, Any]) -> bool:
    exif = Image.Exif()
    exif.update(tags)
    try:
        exif.tobytes()
    except EXIF_ERRORS:
        return False
    return True
