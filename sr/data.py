"""Training images: folders of files, or packs made of them by `sr pack`, behind one interface."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from sr.errors import ImageError, SRError
from sr.images import read_rgb_array

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


class Images(Protocol):
    """What a training draws its crops from.

    sizes: heights and widths, int64 (N, 2). pixels: their products' sum. counts: images by the name of the folder that
    holds them. skipped: a line for every file that is not used. Item i is uint8 RGB (H, W, 3), perhaps read-only.
    """

    sizes: np.ndarray
    pixels: int
    counts: dict[str, int]
    skipped: list[str]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> np.ndarray: ...


def open_images(paths: list[Path], min_side: int) -> Images:
    """The images under `paths`, which are folders of files (`ImageStore`) or one pack (`sr.pack.Pack`).

    min_side: images with a shorter side are left out, in pixels.
    Raises SRError when a path does not exist, a pack is damaged or comes with other paths, or no image is left.
    """
    from sr.pack import Pack, is_pack

    packs = [str(path) for path in paths if is_pack(path)]
    if not packs:
        return ImageStore(paths, min_side)
    if len(paths) > 1:
        raise SRError(f"{packs[0]} is a pack and must be given alone; pack all folders together with `sr pack`")
    return Pack(paths[0], min_side)


class ImageStore:
    """All usable images under some folders, uint8 RGB (H, W, 3).

    folders: searched recursively for .jpg, .jpeg, .png and .webp. Greyscale becomes RGB, transparent pixels are laid
        over white.
    min_side: images with a shorter side are skipped, in pixels.
    memory_limit: bytes of decoded images to keep in memory; the rest is decoded again at every use.

    Every file is decoded once at the start: unreadable and too small ones are skipped with a line each (`skipped`).
    Raises SRError when a folder does not exist or no image is left.
    """

    def __init__(self, folders: list[Path], min_side: int, memory_limit: int = 4 * 2**30):
        self.paths: list[Path] = []
        self.skipped: list[str] = []
        self.counts: dict[str, int] = {}  # images by the name of the folder that holds them
        self.pixels = 0
        self._images: list[np.ndarray | None] = []
        sizes: list[tuple[int, int]] = []
        files = find_files(folders)
        used = 0
        with ThreadPoolExecutor() as pool:
            read = pool.map(lambda file: _read(file, min_side), files)
            for file, image in tqdm(
                zip(files, read, strict=True), total=len(files), desc="reading images", unit="image"
            ):
                if isinstance(image, str):
                    self.skipped.append(image)
                    tqdm.write(f"skipped: {image}")
                    continue
                keep = used + image.nbytes <= memory_limit
                used += image.nbytes if keep else 0
                self.paths.append(file)
                self.counts[file.parent.name] = self.counts.get(file.parent.name, 0) + 1
                self.pixels += image.shape[0] * image.shape[1]
                sizes.append(image.shape[:2])
                self._images.append(image if keep else None)
        if self.skipped:
            tqdm.write(f"{len(self.skipped)} of {len(files)} files skipped")
        if not self.paths:
            raise SRError(f"no usable image (at least {min_side} pixels a side) in {', '.join(map(str, folders))}")
        self.sizes = np.array(sizes, np.int64)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        image = self._images[index]
        return read_rgb_array(self.paths[index]) if image is None else image


def find_files(folders: list[Path]) -> list[Path]:
    """The image files under some folders, sorted. Raises SRError when a folder does not exist."""
    missing = [str(folder) for folder in folders if not Path(folder).is_dir()]
    if missing:
        raise SRError(f"no such folder: {', '.join(missing)}")
    return sorted({file for folder in folders for file in Path(folder).rglob("*") if file.suffix.lower() in SUFFIXES})


def read_or_reason(file: Path) -> np.ndarray | str:
    """The image, uint8 (H, W, 3), or why there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # metadata that Pillow complains about does not harm the pixels
            return read_rgb_array(file)
    except ImageError as error:
        return str(error).encode(errors="backslashreplace").decode()  # a name that is not UTF-8 cannot be printed


def _read(file: Path, min_side: int) -> np.ndarray | str:
    image = read_or_reason(file)
    if not isinstance(image, str) and min(image.shape[:2]) < min_side:
        return f"{file}: {image.shape[1]}x{image.shape[0]} pixels, at least {min_side} a side are needed"
    return image
