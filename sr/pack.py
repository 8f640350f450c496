"""Packs: training images decoded once and memory-mapped, so that a crop costs no decoding.

A pack is a folder. Its images, in the order of their files' paths, lie in at most MAX_SHARDS shards:

shard-0000.bin   uint8 RGB pixels, image after image without gaps, each (H, W, 3)
shard-0000.json  names and sizes (height, width) of its images; a line for every file that could not be used
pack.json        the `Header`. It is called unfinished-pack.json until every shard is written.
"""

import json
from collections import Counter
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from sr.errors import SRError

VERSION = 1
FINISHED, UNFINISHED = "pack.json", "unfinished-pack.json"
MAX_SHARDS = 256  # each memory map holds a file open, and many systems allow a process 1024 of them


class Header(NamedTuple):
    version: int  # of this format
    fingerprint: str  # of the files and settings, see `sr.packing`; repeated in every shard's index
    max_side: int | None  # pixels
    shards: int


class Shard(NamedTuple):
    sizes: np.ndarray  # int64 (N, 2)
    names: list[str]
    skipped: list[str]


def is_pack(path: Path) -> bool:
    """Whether `path` is a pack, finished or not. `Pack` refuses the latter."""
    return any((Path(path) / name).is_file() for name in (FINISHED, UNFINISHED))


class Pack:
    """The images of a pack, as `sr.data.Images`. Item i is a read-only uint8 view (H, W, 3) of the memory map, no copy.

    min_side: images with a shorter side are left out, in pixels; `skipped` gets a line for each of them, beside those
        for the files that packing could not use.

    Raises SRError when there is no pack, an unfinished, a damaged (as far as sizes tell) or an unknown one, or when no
    image is left. The shards must not shrink while a Pack is open: the system ends a process that reads beyond the end.
    """

    def __init__(self, path: Path, min_side: int):
        self.path = Path(path)
        if not is_pack(self.path):
            raise SRError(f"{path} is no pack: {FINISHED} is missing; make one with `python -m sr pack DIR -o {path}`")
        if not (self.path / FINISHED).is_file():
            raise SRError(f"{path} is not finished; run the `python -m sr pack` that was interrupted again")
        header = read_header(self.path / FINISHED)
        shards = [read_shard(self.path, number, header.fingerprint) for number in range(header.shards)]
        lengths = [3 * shard.sizes.prod(axis=1) for shard in shards]  # of the images, in bytes
        sizes = np.concatenate([shard.sizes for shard in shards])
        names = [name for shard in shards for name in shard.names]
        usable = sizes.min(axis=1) >= min_side
        self.skipped = [line for shard in shards for line in shard.skipped]
        total = len(names) + len(self.skipped)
        self.skipped += [
            f"{name}: {width}x{height} pixels, at least {min_side} a side are needed"
            for name, (height, width) in zip(compress(names, ~usable), sizes[~usable].tolist(), strict=True)
        ]
        if self.skipped:
            tqdm.write(f"{len(self.skipped)} of {total} files skipped")
        if not usable.any():
            cropped = f", which was packed with --max-side {header.max_side}" if header.max_side else ""
            raise SRError(f"no usable image (at least {min_side} pixels a side) in {path}{cropped}")
        self.sizes = sizes[usable]
        self.pixels = int(self.sizes.prod(axis=1).sum())
        self.counts = dict(Counter(name.split("/")[-2] for name in compress(names, usable)))
        self._shard = np.repeat(np.arange(len(shards)), [len(shard.names) for shard in shards])[usable]
        self._start = np.concatenate([np.cumsum(length) - length for length in lengths])[usable]
        self._maps = self._open_maps(len(shards))

    def _open_maps(self, shards: int) -> list[np.ndarray | None]:
        files = [shard_files(self.path, number)[0] for number in range(shards)]
        try:  # a shard without a usable image is empty, and nothing can be mapped
            return [np.asarray(np.memmap(file, mode="r")) if file.stat().st_size else None for file in files]
        except OSError as error:
            limit = f"a pack keeps up to {MAX_SHARDS} files open (see `ulimit -n`)"
            raise SRError(f"pack {self.path} cannot be opened: {error.strerror}; {limit}") from error

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> np.ndarray:
        height, width = self.sizes[index]
        start = self._start[index]
        return self._maps[self._shard[index]][start : start + 3 * height * width].reshape(height, width, 3)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_maps": len(self._maps)}  # pickling a map would copy the pixels

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._maps = self._open_maps(state["_maps"])


def shard_files(pack: Path, number: int) -> tuple[Path, Path]:
    return pack / f"shard-{number:04}.bin", pack / f"shard-{number:04}.json"


def read_header(file: Path) -> Header:
    mend = f"delete {file.parent} and pack the images anew"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["version"] == VERSION:
            return Header(**content)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SRError(f"{file} is damaged ({error!r}); {mend}") from error
    raise SRError(f"{file} has version {content['version']!r} of the format, this program reads {VERSION}; {mend}")


def read_shard(pack: Path, number: int, fingerprint: str) -> Shard:
    """A shard's index, checked against its pixels' size. Raises SRError when either is missing or damaged."""
    pixel_file, index_file = shard_files(pack, number)
    mend = "run the `python -m sr pack` that made the pack again: it writes damaged shards anew"
    for file in (pixel_file, index_file):
        if not file.is_file():
            raise SRError(f"{file} is missing; {mend}")
    try:
        index = json.loads(index_file.read_text(encoding="utf-8"))
        shard = Shard(np.array(index["sizes"], np.int64).reshape(-1, 2), index["names"], index["skipped"])
        if index["fingerprint"] != fingerprint or len(shard.sizes) != len(shard.names):
            raise ValueError("it does not belong to this pack")
    except (OSError, ValueError, LookupError, TypeError, OverflowError) as error:
        raise SRError(f"{index_file} is damaged ({error}); {mend}") from error
    expected, found = 3 * int(shard.sizes.prod(axis=1).sum()), pixel_file.stat().st_size
    if found != expected:
        raise SRError(f"{pixel_file} is damaged: it has {found} bytes, not {expected}; {mend}")
    return shard
