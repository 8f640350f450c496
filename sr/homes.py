"""Where the data sets are published, what they hold, and how a copy of them is known to be right.

Set5, Set14, BSD100: the images that SelfExSR released for x4 (github.com/jbhuang0604/SelfExSR, Huang et al., CVPR
    2015). No checksums are published. Every image is compared by its pixels: 16 hex digits of the SHA-256 of its size
    and its RGB samples, computed from the copies that this project's tables were measured on.
BSDS300's training images: Berkeley's archive. Its SHA-256 is one that users of it have published, not Berkeley, and is
    enough; an archive that is packed otherwise is right too if all 200 JPEG files have the checksums of BSDS500's
    copies (of their bytes, since decoders differ in the pixels).
DIV2K's training images: ETH Zurich's archive, with size and SHA-256 as in TensorFlow Datasets
    (tensorflow_datasets/url_checksums/div2k.txt). No checksums of single images are published: each is checked by the
    checksums within its archive and within PNG.
"""

import hashlib
import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from sr.errors import SRError

DIGITS = 16
"""Hex digits of SHA-256 by which one image is known: 64 bits tell damage, the wrong image and another version."""

MAX_IMAGE_BYTES = 32 * 2**20  # DIV2K's images have up to 2040 x 2040 pixels, 12.5 MB before compression


@dataclass(frozen=True)
class Archive:
    """name: below the set's address. folder: of the images in it. sha256: of the file. size: in bytes, if known."""

    name: str
    folder: str
    sha256: str
    size: int | None = None
    max_bytes: int = 64 * 2**20  # of the file when its size is not known, and of all that comes out of it


@dataclass(frozen=True)
class Home:
    """One data set.

    folder: below the user's folder, for example benchmark/Set5. files: name in it -> checksum, "" where none is known.
    addresses: the public ones, tried in order. page: where a person reads about the set and finds its files.
    sources: name in `folder` -> where below the address, for sets that are published as single files; else `archive`.
    pixels: the checksums are of the pixels, not of the files.
    """

    folder: str
    files: dict[str, str]
    addresses: tuple[str, ...]
    page: str
    sources: dict[str, str] = field(default_factory=dict)
    archive: Archive | None = None
    pixels: bool = False

    def check(self, path: Path, checksum: str) -> None:
        """Raises SRError when the image at `path` is not the one of that checksum, or is damaged where that is ""."""
        if not checksum:
            _check_png(path)
        elif (pixel_checksum(path) if self.pixels else file_checksum(path)) != checksum:
            raise SRError(f"{path.name} is not the published image: its {'pixels' if self.pixels else 'bytes'} differ")


def pixel_checksum(path: Path) -> str:
    """Of an image's width, height and RGB samples, whatever the file format. Raises ImageError for no image."""
    from sr.images import read_rgb_array

    image = read_rgb_array(path)
    height, width, _ = image.shape
    return hashlib.sha256(f"{width}x{height}".encode() + image.tobytes()).hexdigest()[:DIGITS]


def file_checksum(path: Path, digits: int = DIGITS) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:digits]


def _check_png(path: Path) -> None:
    """Compares the CRC of every chunk (PNG specification, section 5.3). Raises SRError when one is wrong."""
    with open(path, "rb") as file:
        kind, sound = b"", file.read(8) == b"\x89PNG\r\n\x1a\n"
        while sound and kind != b"IEND":
            length, kind = int.from_bytes(file.read(4)), file.read(4)
            data, crc = file.read(min(length, MAX_IMAGE_BYTES)), file.read(4)
            sound = len(crc) == 4 and int.from_bytes(crc) == zlib.crc32(data, zlib.crc32(kind))
    if not sound:
        raise SRError(f"{path.name} is damaged or is no PNG")


def _selfexsr(name: str, files: dict[str, str]) -> Home:
    kinds = {"HR": "HR", "LRx4": "LR"}
    sources = {}
    for file in files:
        kind, _, image = file.removesuffix(".png").partition("/")
        sources[file] = f"{name}/image_SRF_4/{image}_SRF_4_{kinds[kind]}.png"
    return Home(
        folder=f"benchmark/{name}",
        files=files,
        addresses=("https://raw.githubusercontent.com/jbhuang0604/SelfExSR/master/data",),
        page="https://github.com/jbhuang0604/SelfExSR/tree/master/data",
        sources=sources,
        pixels=True,
    )


_BERKELEY = "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision"
_CHECKSUMS: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("homes.json").read_text(encoding="utf-8"))

HOMES = {
    "set5": _selfexsr("Set5", _CHECKSUMS["set5"]),
    "set14": _selfexsr("Set14", _CHECKSUMS["set14"]),
    "bsd100": _selfexsr("BSD100", _CHECKSUMS["bsd100"]),
    "bsds300-train": Home(
        folder="train/bsds300_train",
        files=_CHECKSUMS["bsds300-train"],
        addresses=(f"{_BERKELEY}/grouping/segbench", f"{_BERKELEY}/bsds"),
        page=f"{_BERKELEY}/bsds/",
        archive=Archive(
            name="BSDS300-images.tgz",
            folder="BSDS300/images/train",
            sha256="a5f7d0e49fe135c75518a3543ced24470156fd69305ae77845dff2a5138652b4",
        ),
    ),
    "div2k": Home(
        folder="train/div2k",
        files={f"{i:04}.png": "" for i in range(1, 801)},
        addresses=("https://data.vision.ee.ethz.ch/cvl/DIV2K",),
        page="https://data.vision.ee.ethz.ch/cvl/DIV2K/",
        archive=Archive(
            name="DIV2K_train_HR.zip",
            folder="DIV2K_train_HR",
            sha256="9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
            size=3530603713,
            max_bytes=8 * 2**30,
        ),
    ),
}
"""Name on the command line -> set."""
