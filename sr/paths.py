"""Which file becomes which: the inputs of a command line, and the outputs that they get."""

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from PIL import Image

from sr.errors import SRError
from sr.images import FORMATS
from sr.saving import OUTPUTS

STREAM = "-"
"""Names standard input as a source and standard output as a target."""


class Job(NamedTuple):
    """source and target: paths, `STREAM`, or addresses that only `sr.ray_engine` knows."""

    source: str
    target: str


class Found(NamedTuple):
    """source: as in `Job`. place: its path below the input folder that it was found in; the file's name, if in none."""

    source: str
    place: PurePath


def is_address(text: str) -> bool:
    """Whether an IN or OUT is in a store, such as s3://bucket/folder."""
    return "://" in text


def output_format(output: str, format: str | None) -> str:
    """The format of the results: that of OUT's suffix where OUT names a file, else `format`, else "png".

    Raises SRError when OUT's suffix is of another image format, or contradicts `format`.
    """
    if not names_file(output):
        return format or "png"
    suffix = Path(output).suffix.lower()
    implied = next((name for name, kind in OUTPUTS.items() if suffix in kind.suffixes), None)
    if implied is None:
        endings = ", ".join(kind.suffixes[0] for kind in OUTPUTS.values())
        raise SRError(f"{output} cannot be written: give a name that ends in one of {endings}, or a folder")
    if format not in (None, implied):
        raise SRError(f"{output} is a name for {implied}, not for {format}; leave --format out or change the name")
    return implied


def names_file(output: str) -> bool:
    """Whether OUT is one file rather than a folder: its suffix is an image's, and there is no such folder."""
    path = Path(output)
    return output != STREAM and path.suffix.lower() in Image.registered_extensions() and not path.is_dir()


def plan(inputs: list[str], output: str, format: str, suffix: str) -> list[Job]:
    """The jobs for the IN... and OUT of a command line.

    output: `STREAM`, one file (`names_file`), or a folder, in which the results keep the inputs' places.
    suffix: what the results' names in that folder get behind the inputs' names.
    Raises SRError when there is nothing to do, and when a result would overwrite another or an input.
    """
    for text in (*inputs, output):
        if is_address(text):
            raise SRError(f"{text} is an address; --engine ray reads and writes such, this engine files alone")
    if inputs.count(STREAM) > 1:
        raise SRError("standard input (-) holds one image; give - once")
    single = output == STREAM or names_file(output)
    if single and (len(inputs) > 1 or Path(inputs[0]).is_dir() or _is_pattern(inputs[0])):
        name = "standard output" if output == STREAM else output
        raise SRError(f"{name} takes one image, but there may be several inputs; give a folder as OUT")
    if single and suffix:
        raise SRError(f"--suffix is for a folder as OUT, and {output} is none")
    found = find(inputs, output, suffix + OUTPUTS[format].suffixes[0] if suffix else "")
    if single:
        jobs = [Job(found[0].source, output)]
    else:
        jobs = assign(found, lambda name: str(Path(output) / name), format, suffix)
    keep_inputs(jobs)
    return jobs


def assign(found: Iterable[Found], target: Callable[[PurePath], str], format: str, suffix: str) -> list[Job]:
    """Each input and its target, which `target` makes of its place in the folder of results.

    Raises SRError when two would get the same target.
    """
    jobs = []
    taken: dict[str, str] = {}
    for source, place in found:
        name = place.with_name(f"{place.stem}{suffix}{OUTPUTS[format].suffixes[0]}")
        # Some file systems ignore the case of names.
        other = taken.setdefault(str(name).casefold(), source)
        if other != source:
            raise SRError(f"{other} and {source} would both become {target(name)}; rename one or give them two folders")
        jobs.append(Job(source, target(name)))
    return jobs


def without_existing(jobs: list[Job], exists: Callable[[str], bool], overwrite: bool, skip: bool) -> list[Job]:
    """The jobs to do when some results are there already: all (overwrite), or those without a result (skip).

    Raises SRError when neither was asked for.
    """
    if overwrite:
        return jobs
    existing = {job.target for job in jobs if exists(job.target)}
    if existing and not skip:
        first = next(job.target for job in jobs if job.target in existing)
        count = first if len(jobs) == 1 else f"{len(existing)} of {len(jobs)} results (first: {first})"
        raise SRError(f"{count} already there; --overwrite replaces what exists, --skip-existing leaves it")
    return [job for job in jobs if job.target not in existing]


def keep_inputs(jobs: list[Job]) -> None:
    """Raises SRError when a target is one of the inputs."""
    files: dict[Any, str] = {job.source: job.source for job in jobs if job.source != STREAM}
    files |= {_identity(source): source for source in list(files) if os.path.exists(source)}
    for job in jobs:
        if job.target == STREAM:
            continue
        same = files.get(job.target) or (os.path.exists(job.target) and files.get(_identity(job.target)))
        if same:
            raise SRError(f"{job.target} would overwrite the input {same}; choose another OUT, or a --suffix")


def is_image_name(name: str) -> bool:
    """Whether a file that was not named by itself counts as an image: by its suffix, and not hidden."""
    path = PurePath(name)
    return Image.registered_extensions().get(path.suffix.lower()) in FORMATS and not path.name.startswith(".")


def find(inputs: list[str], output: str, ending: str) -> list[Found]:
    """Files as given, and the image files in folders, in the folders below them, and behind patterns, each once.

    Hidden files and folders are left out, and so are earlier results: everything in `output` where that is a folder
    inside an input folder, and, where it is the input folder itself, files whose names end in `ending` (if not "").
    Raises SRError for a folder or pattern without image files.
    """
    found: dict[str, Found] = {}
    for text in inputs:
        if text == STREAM:
            found[STREAM] = Found(STREAM, PurePath("stdin"))
            continue
        path = Path(text)
        if path.is_dir():
            root, files = path, _walk(path)
            missing = f"folder {text} holds no image files ({', '.join(FORMATS)})"
        elif _is_pattern(text):
            root, files = _fixed_part(text), _match(text)
            missing = f"nothing matches {text}, or no image files ({', '.join(FORMATS)})"
        else:
            found.setdefault(str(path.resolve()), Found(text, PurePath(path.name)))
            continue
        files = [file for file in files if is_image_name(file) and not is_result(file, root, output, ending)]
        if not files:
            raise SRError(missing)
        for file in sorted(files):
            found.setdefault(str(Path(file).resolve()), Found(file, PurePath(file).relative_to(root)))
    return list(found.values())


def is_result(file: str, root: str | Path, output: str, ending: str) -> bool:
    """Whether a file found below `root` counts as an earlier result, see `find`."""
    folder, top = Path(output).resolve(), Path(root).resolve()
    if folder == top:
        return ending != "" and file.endswith(ending)
    return top in folder.parents and folder in Path(file).resolve().parents


def _walk(folder: Path) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise SRError(f"folder {error.filename} cannot be read: {error.strerror}") from error

    for parent, folders, files in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(parent, name) for name in files)


def _match(pattern: str) -> Iterator[str]:
    for path in glob.iglob(pattern, recursive=True):
        if os.path.isdir(path):
            yield from _walk(Path(path))
        else:
            yield path


def _is_pattern(text: str) -> bool:
    # A file whose name has brackets is that file.
    return any(sign in text for sign in "*?[") and not os.path.lexists(text)


def _fixed_part(pattern: str) -> Path:
    """The folder of a pattern before its first part with a wildcard."""
    parts = Path(pattern).parts
    wild = next(i for i, part in enumerate(parts) if any(sign in part for sign in "*?["))
    return Path(*parts[:wild])


def _identity(path: str) -> tuple[int, int]:
    """Equal for two paths to one file, through links or another spelling."""
    status = os.stat(path)
    return status.st_dev, status.st_ino
