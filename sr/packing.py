"""Writing packs (`sr.pack`): decoding on all cores, resumed after any interruption."""

import hashlib
import json
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from sr.data import SUFFIXES, find_files, read_or_reason
from sr.errors import SRError
from sr.files import write_atomically, write_text
from sr.pack import FINISHED, MAX_SHARDS, UNFINISHED, VERSION, Header, is_pack, read_header, read_shard, shard_files

MIN_FILES = 16  # in a shard


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
    header = Header(VERSION, _fingerprint(files, per_shard, max_side), max_side, len(shards))
    try:
        todo = _prepare(out, header)
        if todo:
            _write_shards(out, header, {number: shards[number] for number in todo}, len(files), workers)
        written = [read_shard(out, number, header.fingerprint) for number in range(len(shards))]
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
    names: dict[Path, str] = {}
    for folder in map(Path, folders):
        top = os.path.basename(os.path.abspath(folder))  # abspath, because "." has no name
        for file in find_files([folder]):
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


def _prepare(out: Path, header: Header) -> list[int]:
    """Makes `out` a pack of this header, of which only whole shards are left. Returns the numbers of the others."""
    finished, unfinished = out / FINISHED, out / UNFINISHED
    if out.exists() and not is_pack(out):
        # A kill during the first write of all leaves its temporary file.
        if not out.is_dir() or any(not file.name.startswith(f".{UNFINISHED}.") for file in out.iterdir()):
            raise SRError(f"{out} exists and is no pack; choose another -o")
    elif finished.is_file() and read_header(finished) != header:
        raise SRError(f"{out} is a finished pack of other files or settings; choose another -o or delete it")
    elif unfinished.is_file():
        kept = read_header(unfinished) == header
        tqdm.write(f"{out} was interrupted: " + ("going on" if kept else "files or settings changed, starting anew"))
    whole = [number for number in range(header.shards) if _is_whole(out, number, header.fingerprint)]
    if finished.is_file() and len(whole) < header.shards:
        os.replace(finished, unfinished)
    elif not finished.is_file():
        write_atomically(
            unfinished, lambda temporary: temporary.write_text(json.dumps(header._asdict()), encoding="utf-8")
        )
    keep = {file for number in whole for file in shard_files(out, number)}
    for file in [*out.glob("shard-*"), *out.glob(".shard-*.tmp"), *out.glob(f".{UNFINISHED}.*.tmp")]:
        if file not in keep:
            file.unlink()
    return sorted(set(range(header.shards)) - set(whole))


def _write_shards(
    out: Path, header: Header, shards: dict[int, list[tuple[Path, str]]], total: int, workers: int | None
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
            stop.set()  # before it is said
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


def _write_shard(out: Path, header: Header, number: int, files: list[tuple[Path, str]]) -> list[str]:
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

    pixel_file, index_file = shard_files(out, number)
    write_atomically(pixel_file, write_pixels)
    write_text(index_file, json.dumps(index))
    return index["skipped"]


def _read(file: Path, max_side: int | None) -> np.ndarray | str:
    """The image, cropped around its centre, or why there is none."""
    image = read_or_reason(file)
    if isinstance(image, str):
        return image
    height, width = (min(side, max_side or side) for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def _is_whole(pack: Path, number: int, fingerprint: str) -> bool:
    try:
        read_shard(pack, number, fingerprint)
    except SRError:
        return False
    return True
