"""Many images on the machines of a Ray cluster, from and to folders that all of them see, or object stores.

Ray shares the images out, restarts what dies and repeats its work (Ray Data: map_batches with a class).
"""

import math
import os
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

import sr
from sr.batch import Outcome, run_jobs
from sr.errors import ImageError, SRError
from sr.images import read_image
from sr.methods import load
from sr.paths import STREAM, Found, Job, assign, find, is_address, is_image_name, is_result, keep_inputs, names_file
from sr.saving import OUTPUTS, check_fits, write_image

_BATCH = 16  # images that an actor takes at a time, at most: reading and writing overlap inside a batch


class Enlarger:
    """An actor: loads the method once, then enlarges batches of images."""

    def __init__(self, settings: dict[str, Any], format: str, workers: int):
        """settings: the arguments of `sr.methods.load`. format and workers: see `sr.saving` and `sr.batch.run_jobs`."""
        self._upscaler = load(**settings)
        self._format, self._workers = format, workers

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Columns source and target -> the same and error, "" where the result was written."""
        jobs = [Job(str(source), str(target)) for source, target in zip(batch["source"], batch["target"], strict=True)]
        scale = self._upscaler.scale
        outcomes = list(run_jobs(jobs, _read, self._enlarge, self._write, scale=scale, workers=self._workers))
        columns = {name: [getattr(outcome.job, name) for outcome in outcomes] for name in Job._fields}
        columns["error"] = [outcome.error for outcome in outcomes]
        return {name: np.array(values, dtype=object) for name, values in columns.items()}

    def _enlarge(self, job: Job, image: Image.Image) -> Image.Image:
        scale = self._upscaler.scale
        check_fits((image.width * scale, image.height * scale), self._format, job.source)
        return self._upscaler.upscale(image)

    def _write(self, job: Job, image: Image.Image) -> None:
        files, path = _open(job.target)
        if files.type_name == "local":
            write_image(image, Path(path), self._format, job.source)
            return
        data = BytesIO()
        write_image(image, data, self._format, job.source)
        try:
            # A store shows an object when it is complete.
            with files.open_output_stream(path) as stream:
                stream.write(data.getbuffer())
        except OSError as error:
            raise SRError(f"{job.target} cannot be written: {error}") from error


def plan_on_ray(inputs: list[str], output: str, format: str, suffix: str) -> list[Job]:
    """As `sr.paths.plan`; IN and OUT may be addresses of folders that pyarrow knows, such as s3:// and gs://.

    Raises SRError as well when Ray is not installed.
    """
    _import_ray()
    if STREAM in (*inputs, output):
        raise SRError("--engine ray works on files and folders, not on standard input and output")
    if names_file(output):
        raise SRError(f"{output} names one file; --engine ray needs a folder as OUT")
    ending = suffix + OUTPUTS[format].suffixes[0] if suffix else ""
    found = []
    for text in inputs:
        found += _find_in_store(text, output, ending) if is_address(text) else find([text], output, ending)
    once = {entry.source: entry for entry in found}.values()
    jobs = assign(once, lambda name: _join(output, name.as_posix()), format, suffix)
    keep_inputs(jobs)
    return [Job(_absolute(job.source), _absolute(job.target)) for job in jobs]


def exists_in(output: str) -> Callable[[str], bool]:
    """Whether a target in the folder `output` is there; a store is asked once, for all of them."""
    if not is_address(output):
        return os.path.exists
    return {_join(output, name) for name in _list(output)}.__contains__


def connect() -> None:
    """Joins the cluster of RAY_ADDRESS or the one that runs on this machine; starts one here if there is none."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports its use to its makers unless told otherwise
    ray = _import_ray()
    ray.data.DataContext.get_current().enable_progress_bars = False
    if not ray.is_initialized():
        ray.init(runtime_env={"py_modules": [str(Path(sr.__file__).parent)]})


def run_on_ray(
    jobs: list[Job], settings: dict[str, Any], format: str, *, workers: int, actors: int | None
) -> Iterator[Outcome]:
    """One outcome for each job, as they come. Needs `connect`.

    settings, format, workers: as for `Enlarger`.
    actors: how many; None: one for each GPU of the cluster, or for each CPU where it has none or the device is "cpu".
    Raises SRError when the cluster cannot go on.
    """
    ray = _import_ray()
    weights = settings["weights"] and Path(settings["weights"]).absolute()
    resources = ray.cluster_resources()
    gpus = 0 if settings["device"] == "cpu" else int(resources.get("GPU", 0))
    actors = min(len(jobs), actors or gpus or int(resources["CPU"]))
    blocks = max(math.ceil(len(jobs) / _BATCH), min(len(jobs), 4 * actors))
    rows = ray.data.from_items([job._asdict() for job in jobs], override_num_blocks=blocks)
    done = rows.map_batches(
        Enlarger,
        fn_constructor_kwargs={"settings": settings | {"weights": weights}, "format": format, "workers": workers},
        batch_size=None,
        compute=ray.data.ActorPoolStrategy(size=actors),
        num_gpus=1 if gpus else None,
    )
    try:
        for row in done.iter_rows():
            yield Outcome(Job(row["source"], row["target"]), row["error"])
    except ray.exceptions.RayError as error:  # such as a method that the actors could not load
        raise SRError(f"the Ray cluster gave up: {str(error).strip().splitlines()[-1]}") from error


def _import_ray() -> ModuleType:
    try:
        import ray.data
    except ImportError as error:
        raise SRError('--engine ray needs Ray, which is not installed: pip install "ray[data]"') from error
    return ray


def _read(job: Job) -> Image.Image:
    files, path = _open(job.source)
    if files.type_name == "local":
        return read_image(path)
    try:
        with files.open_input_file(path) as stream:
            data = BytesIO(stream.read())
    except OSError as error:
        raise ImageError(f"{job.source} cannot be read: {error}") from error
    data.name = job.source
    return read_image(data)


def _find_in_store(address: str, output: str, ending: str) -> list[Found]:
    root, results = address.partition("?")[0], output.partition("?")[0]
    names = [name for name in sorted(_list(address)) if is_image_name(name)]
    names = [name for name in names if not is_result(_join(root, name), root, results, ending)]
    if not names:
        raise SRError(f"{address} holds no image files")
    return [Found(_join(address, name), PurePosixPath(name)) for name in names]


def _list(address: str) -> list[str]:
    """The names of all files in a folder of a store and below it, relative to the folder; none if it is not there."""
    from pyarrow.fs import FileSelector

    files, folder = _open(address)
    try:
        entries = files.get_file_info(FileSelector(folder, allow_not_found=True, recursive=True))
    except OSError as error:
        raise SRError(f"{address} cannot be listed: {error}") from error
    return [str(PurePosixPath(entry.path).relative_to(folder)) for entry in entries if entry.is_file]


def _open(address: str) -> tuple[Any, str]:
    """The file system of an address or a path, and the path there."""
    from pyarrow.fs import FileSystem, LocalFileSystem

    if not is_address(address):
        return LocalFileSystem(), address
    try:
        return FileSystem.from_uri(address)
    except (OSError, ValueError) as error:
        raise SRError(f"{address} cannot be opened: {error}") from error


def _join(folder: str, name: str) -> str:
    """An address may end in a query with settings, such as s3://bucket/folder?region=eu-central-1."""
    if not is_address(folder):
        return str(Path(folder) / name)
    path, mark, query = folder.partition("?")
    return f"{path.rstrip('/')}/{name}{mark}{query}"


def _absolute(text: str) -> str:
    # Actors work in other folders.
    return text if is_address(text) else os.path.abspath(text)
