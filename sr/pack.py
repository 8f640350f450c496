"""Packs: training images decoded once and memory-mapped, so that a crop costs no decoding.

A pack is a folder. Its images, in the order of their files' paths, lie in at most MAX_SHARDS shards:

shard-0000.bin   uint8 RGB pixels, image after image without gaps, each (H, W, 3)
shard-0000.json  names and sizes (height, width) of its images; a line for every file that could not be used
pack.json        the `_Header`. It is called unfinished-pack.json until every shard is written.
"""

import hashlib
import json
import multiprocessing
import os
import signal
import threading
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from itertools import compress
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from sr.data import SUFFIXES
from sr.errors import ImageError, SRError
from sr.files import write_atomically
from sr.images import read_rgb_array

VERSION = 1
FINISHED, UNFINISHED = "pack.json", "unfinished-pack.json"
MAX_SHARDS = 256  # each memory map holds a file open, and many systems allow a process 1024 of them
MIN_FILES = 16  # in a shard


class _Header(NamedTuple):
    version: int  # of this format
    fingerprint: str  # of the files and settings, see `_fingerprint`; repeated in every shard's index
    max_side: int | None  # pixels
    shards: int


class _Shard(NamedTuple):
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
        header = _read_header(self.path / FINISHED)
        shards = [_read_shard(self.path, number, header.fingerprint) for number in range(header.shards)]
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
        files = [_shard_files(self.path, number)[0] for number in range(shards)]
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


def write_pack(folders: list[Path], out: Path, max_side: int | None = None, workers: int | None = None) -> None:
    """Packs all images under `folders`, found as `sr.data.ImageStore` does, into the folder `out`.

    max_side: longer sides are cropped to this, around the centre, in pixels. None: whole images.
    workers: processes, each with one decoded image in memory (default: one a core).

    Unusable files are named and skipped. When an earlier call was interrupted, whole shards are kept if files (names,
    sizes, modification times) and settings are the same, else everything starts anew. A finished pack is left as it is,
    but for damaged shards, which are written again. Only one call may write to `out` at a time.
    Raises SRError for bad settings, when `out` holds something else or cannot be written, and when no image is usable.
    """
    for name, value in (("max-side", max_side), ("workers", workers)):
        if value is not None and value < 1:
            raise SRError(f"--{name} must be at least 1, got {value}")
    files = _find(folders)
    per_shard = max(MIN_FILES, -(-len(files) // MAX_SHARDS))
    shards = [files[i : i + per_shard] for i in range(0, len(files), per_shard)]
    header = _Header(VERSION, _fingerprint(files, per_shard, max_side), max_side, len(shards))
    try:
        todo = _prepare(out, header)
        if todo:
            _write_shards(out, header, {number: shards[number] for number in todo}, len(files), workers)
        written = [_read_shard(out, number, header.fingerprint) for number in range(len(shards))]
        images = sum(len(shard.names) for shard in written)
        if not images:
            raise SRError(f"no usable image in {', '.join(map(str, folders))}: all {len(files)} files were skipped")
        if (out / FINISHED).is_file():
            tqdm.write(f"{out} is finished already: nothing to do")
        else:
            os.replace(out / UNFINISHED, out / FINISHED)
    except OSError as error:
        raise SRError(f"{out} cannot be written: {error.strerror or error}; mend that and run this again") from error
    pixels, skipped = sum(int(shard.sizes.prod(axis=1).sum()) for shard in written), len(files) - images
    tqdm.write(f"{out}: {images} images, {pixels / 1e6:.0f} Mpixel, {3 * pixels / 1e9:.2f} GB, {skipped} files skipped")


def _find(folders: list[Path]) -> list[tuple[Path, str]]:
    """Every image file and its name in the pack, "train/deep/1.png": the given folder's name and the path below it."""
    missing = [str(folder) for folder in folders if not Path(folder).is_dir()]
    if missing:
        raise SRError(f"no such folder: {', '.join(missing)}")
    names: dict[Path, str] = {}
    for folder in map(Path, folders):
        top = os.path.basename(os.path.abspath(folder))  # abspath, because "." has no name
        for file in tqdm(folder.rglob("*"), desc=f"searching {folder}", unit="file", leave=False):
            if file.suffix.lower() in SUFFIXES:
                names.setdefault(file, f"{top}/{file.relative_to(folder).as_posix()}")
    if not names:
        raise SRError(f"no image ({', '.join(sorted(SUFFIXES))}) in {', '.join(map(str, folders))}")
    return sorted(names.items())


def _fingerprint(files: list[tuple[Path, str]], per_shard: int, max_side: int | None) -> str:
    digest = hashlib.sha256(json.dumps([VERSION, per_shard, max_side]).encode())
    for path, name in files:
        try:
            status = path.stat()
        except OSError:  # a dangling link, for example; it is skipped later, like other unusable files
            facts = [name]
        else:
            facts = [name, status.st_size, status.st_mtime_ns]
        digest.update(json.dumps(facts).encode())
    return digest.hexdigest()


def _prepare(out: Path, header: _Header) -> list[int]:
    """Makes `out` a pack of this header, of which only whole shards are left. Returns the numbers of the others."""
    finished, unfinished = out / FINISHED, out / UNFINISHED
    if out.exists() and not is_pack(out):
        # A kill during the first write of all leaves its temporary file.
        if not out.is_dir() or any(not file.name.startswith(f".{UNFINISHED}.") for file in out.iterdir()):
            raise SRError(f"{out} exists and is no pack; choose another -o")
    elif finished.is_file() and _read_header(finished) != header:
        raise SRError(f"{out} is a finished pack of other files or settings; choose another -o or delete it")
    elif unfinished.is_file():
        kept = _read_header(unfinished) == header
        tqdm.write(f"{out} was interrupted: " + ("going on" if kept else "files or settings changed, starting anew"))
    whole = [number for number in range(header.shards) if _is_whole(out, number, header.fingerprint)]
    if finished.is_file() and len(whole) < header.shards:
        os.replace(finished, unfinished)
    elif not finished.is_file():
        write_atomically(
            unfinished, lambda temporary: temporary.write_text(json.dumps(header._asdict()), encoding="utf-8")
        )
    keep = {file for number in whole for file in _shard_files(out, number)}
    for file in [*out.glob("shard-*"), *out.glob(".shard-*.tmp"), *out.glob(f".{UNFINISHED}.*.tmp")]:
        if file not in keep:
            file.unlink()
    return sorted(set(range(header.shards)) - set(whole))


def _write_shards(
    out: Path, header: _Header, shards: dict[int, list[tuple[Path, str]]], total: int, workers: int | None
) -> None:
    """Writes the shards of these numbers. total: files in all shards, those of earlier calls included."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    done = total - sum(map(len, shards.values()))
    with (
        tqdm(total=total, initial=done, desc="packing", unit="image", dynamic_ncols=True) as bar,
        ProcessPoolExecutor(workers or cores, context, initializer=_start_worker, initargs=(stop,)) as pool,
    ):
        try:
            futures = {
                pool.submit(_write_shard, out, header, number, files): len(files) for number, files in shards.items()
            }
            for future in as_completed(futures):
                for line in future.result():
                    tqdm.write(f"skipped: {line}")
                bar.update(futures[future])
        except KeyboardInterrupt:
            tqdm.write("stopping; the same command goes on from here")
            raise
        except BrokenProcessPool as error:
            advice = "run the same command with fewer --workers: it goes on from here"
            raise SRError(f"a worker process died, perhaps for want of memory; {advice}") from error
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


_stop: Event  # of a worker process


def _start_worker(stop: Event) -> None:
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of the terminal; the parent sets `stop`
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    # A killed parent's workers would wait for tasks for ever.
    multiprocessing.parent_process().join()
    os._exit(1)


def _write_shard(out: Path, header: _Header, number: int, files: list[tuple[Path, str]]) -> list[str]:
    """Decodes these files into a shard, one at a time. Returns a line for every unusable one."""
    index: dict[str, Any] = {"fingerprint": header.fingerprint, "names": [], "sizes": [], "skipped": []}

    def write_pixels(temporary: Path) -> None:
        with open(temporary, "wb") as stream:
            for path, name in files:
                if _stop.is_set():
                    raise InterruptedError("packing was stopped")
                image = _read(path, header.max_side)
                if isinstance(image, str):
                    index["skipped"].append(image)
                    continue
                stream.write(image.data)
                index["names"].append(name)
                index["sizes"].append(image.shape[:2])

    pixel_file, index_file = _shard_files(out, number)
    write_atomically(pixel_file, write_pixels)
    write_atomically(index_file, lambda temporary: temporary.write_text(json.dumps(index), encoding="utf-8"))
    return index["skipped"]


def _read(file: Path, max_side: int | None) -> np.ndarray | str:
    """The image, cropped around its centre, or why there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # metadata that Pillow complains about does not harm the pixels
            image = read_rgb_array(file)
    except ImageError as error:
        return str(error).encode(errors="backslashreplace").decode()  # a name that is not UTF-8 cannot be printed
    height, width = (min(side, max_side or side) for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def _shard_files(pack: Path, number: int) -> tuple[Path, Path]:
    return pack / f"shard-{number:04}.bin", pack / f"shard-{number:04}.json"


def _read_header(file: Path) -> _Header:
    mend = f"delete {file.parent} and pack the images anew"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["version"] == VERSION:
            return _Header(**content)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SRError(f"{file} is damaged ({error!r}); {mend}") from error
    raise SRError(f"{file} has version {content['version']!r} of the format, this program reads {VERSION}; {mend}")


def _read_shard(pack: Path, number: int, fingerprint: str) -> _Shard:
    """A shard's index, checked against its pixels' size. Raises SRError when either is missing or damaged."""
    pixel_file, index_file = _shard_files(pack, number)
    mend = "run the `python -m sr pack` that made the pack again: it writes damaged shards anew"
    for file in (pixel_file, index_file):
        if not file.is_file():
            raise SRError(f"{file} is missing; {mend}")
    try:
        index = json.loads(index_file.read_text(encoding="utf-8"))
        shard = _Shard(np.array(index["sizes"], np.int64).reshape(-1, 2), index["names"], index["skipped"])
        if index["fingerprint"] != fingerprint or len(shard.sizes) != len(shard.names):
            raise ValueError("it does not belong to this pack")
    except (OSError, ValueError, LookupError, TypeError, OverflowError) as error:
        raise SRError(f"{index_file} is damaged ({error}); {mend}") from error
    expected, found = 3 * int(shard.sizes.prod(axis=1).sum()), pixel_file.stat().st_size
    if found != expected:
        raise SRError(f"{pixel_file} is damaged: it has {found} bytes, not {expected}; {mend}")
    return shard


def _is_whole(pack: Path, number: int, fingerprint: str) -> bool:
    try:
        _read_shard(pack, number, fingerprint)
    except SRError:
        return False
    return True
