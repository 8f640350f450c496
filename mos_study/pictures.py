"""The picture files that a configuration means: found, matched by name, and checked before anything is made of them."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from mos_study.config import DatasetConfig, StudyConfig
from sr.errors import ImageError
from sr.images import read_image

SCALE = 4
ORIGINALS, REDUCED = "originals", "reduced originals"
SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True)
class Picture:
    """An image and the files that its stimuli come from.

    lr: none if the LR picture is to be made of the HR picture. made: the files of methods that come from a folder.
    crop: width and height to which the stimuli are cut, if they are larger.
    """

    dataset: str
    image: str
    hr: Path
    lr: Path | None
    made: Mapping[str, Path]
    methods: tuple[str, ...]
    crop: tuple[int, int] | None


@dataclass(frozen=True)
class Found:
    """What there is of a study's pictures.

    images: how many images each data set has; none if neither the configuration nor a folder tells.
    problems: a line for everything that is missing or in the way.
    """

    pictures: list[Picture]
    images: dict[str, int | None]
    problems: list[str]


def find_pictures(config: StudyConfig, folder: Path) -> Found:
    """The files of all data sets and of the calibration. Relative paths start at `folder`."""
    found = Found([], {}, [])
    for dataset in (*config.datasets, config.calibration.as_dataset()):
        _find(dataset, config.seed, folder, found)
    return found


def check_pictures(pictures: Iterable[Picture]) -> list[str]:
    """Reads every file once; a line for each that is damaged or has a wrong size."""
    problems = []
    for picture in pictures:
        try:
            problems += _check(picture)
        except ImageError as error:
            problems.append(str(error))
    return list(dict.fromkeys(problems))


def _find(dataset: DatasetConfig, seed: int, folder: Path, found: Found) -> None:
    written = {ORIGINALS: dataset.hr, REDUCED: dataset.lr}
    written |= {method.name: method.folder for method in dataset.methods}
    where = {what: _resolve(path, folder) for what, path in written.items() if path is not None}
    folders = {what: _files(f"{what} of {dataset.name}", path, found.problems) for what, path in where.items()}
    originals = folders.pop(ORIGINALS)
    if originals is None:
        found.images[dataset.name] = len(dataset.images) if isinstance(dataset.images, tuple) else dataset.images
        return
    names = _chosen(dataset, list(originals), seed)
    found.images[dataset.name] = len(names) or None
    if not names and dataset.images is None:
        found.problems.append(f"{where[ORIGINALS]} ({ORIGINALS} of {dataset.name}) holds no pictures")
    if isinstance(dataset.images, int) and len(names) < dataset.images:
        found.images[dataset.name] = dataset.images
        found.problems.append(f"{where[ORIGINALS]} holds {len(names)} pictures, {dataset.images} are asked for")
    folders = {what: files for what, files in folders.items() if files is not None}
    for what, files in {ORIGINALS: originals, **folders}.items():
        if lacking := [name for name in names if name not in files]:
            found.problems.append(f"{where[what]} ({what} of {dataset.name}) lacks {', '.join(lacking)}")
    reduced = folders.pop(REDUCED, {})
    for name in names:
        if name in originals:
            made = {method: files[name] for method, files in folders.items() if name in files}
            methods = tuple(method.name for method in dataset.methods)
            lr = reduced.get(name)
            found.pictures.append(Picture(dataset.name, name, originals[name], lr, made, methods, dataset.crop))


def _files(what: str, folder: Path, problems: list[str]) -> dict[str, Path] | None:
    """Pictures by file name without its ending; None, and a problem, where there is no such folder."""
    if not folder.is_dir():
        unset = "".join(f": ${name} is not set" for name in _variables(str(folder)))
        problems.append(f"{folder} ({what}) is no folder{unset}")
        return None
    files: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() not in SUFFIXES or file.name.startswith("."):
            continue
        if file.stem in files:
            problems.append(f"{files[file.stem]} and {file} have the same name {file.stem}: keep one of them")
        files[file.stem] = file
    return files


def _resolve(path: str, folder: Path) -> Path:
    expanded = os.path.expandvars(path)
    # With a variable that is not set it is shown as written.
    return Path(expanded) if _variables(expanded) else Path(os.path.normpath(folder / expanded))


def _variables(path: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"\$\{?(\w+)", path)))


def _chosen(dataset: DatasetConfig, names: list[str], seed: int) -> list[str]:
    if isinstance(dataset.images, tuple):
        return list(dataset.images)
    if dataset.images is None:
        return names
    # Hashes in place of a generator: a name's luck depends on no other name.
    drawn = sorted(names, key=lambda name: sha256(f"{seed}/{dataset.name}/{name}".encode()).digest())
    return sorted(drawn[: dataset.images])


def _check(picture: Picture) -> list[str]:
    width, height = read_image(picture.hr).size
    expected = (width - width % SCALE, height - height % SCALE)
    problems = []
    if picture.lr:
        small = read_image(picture.lr).size
        if (width, height) != (small[0] * SCALE, small[1] * SCALE):
            is_ = f"{picture.hr} is {width}x{height}, expected {small[0] * SCALE}x{small[1] * SCALE}"
            problems.append(f"{is_}: {SCALE} times the {small[0]}x{small[1]} of {picture.lr}")
    elif 0 in expected:
        problems.append(f"{picture.hr} is {width}x{height}, expected {SCALE}x{SCALE} or more")
    for file in picture.made.values():
        size = read_image(file).size
        if size != expected:
            is_ = f"{file} is {size[0]}x{size[1]}, expected {expected[0]}x{expected[1]}"
            problems.append(f"{is_} as {picture.hr} (cut to multiples of {SCALE})")
    return problems
