"""Benchmark sets on disk: DIR/NAME/HR/*.png and DIR/NAME/LRx4/*.png, an LR image having its HR image's file name."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from sr.errors import ImageError, SRError
from sr.images import read_image

SCALE = 4


class BenchmarkImage(NamedTuple):
    name: str  # file name without .png, for example img_001
    lr: Path
    hr: Path


class BenchmarkSet:
    """One set, for example BenchmarkSet("data/benchmark", "Set5"): iterates BenchmarkImages, sorted by name.

    skip_unusable: leave out what cannot be used, and say so in `skipped`, a line an image.

    Every file is read once here, so that a long evaluation does not stop half-way. What cannot be used is an image in
    one folder without its counterpart, a file that is no image, and an HR image that is not four times as wide and as
    high as its LR image; none is ever cropped to fit. Raises SRError that names it, unless it is skipped, and in any
    case for a missing or empty folder and a set of which nothing is left.
    """

    def __init__(self, root: Path | str, name: str, skip_unusable: bool = False):
        self.name = name
        self.skipped: list[str] = []
        self._skips = skip_unusable
        folder = Path(root) / name
        if not folder.is_dir():
            raise SRError(f"benchmark set {name}: {folder} is not a folder; it should hold HR/ and LRx{SCALE}/")
        hr, lr = _png_files(folder / "HR"), _png_files(folder / f"LRx{SCALE}")
        for here, there, missing in ((hr, lr, f"LRx{SCALE}"), (lr, hr, "HR")):
            self._report([f"{folder / missing} lacks {file}" for file in here if file not in there])
        self.images = [BenchmarkImage(Path(file).stem, lr[file], hr[file]) for file in hr if file in lr]
        self.leave_out({image.name: problem for image in self.images if (problem := _problem(image))})

    def leave_out(self, problems: dict[str, str]) -> None:
        """Skips these images (name -> why), where that is wanted. Raises SRError where not, and when none is left."""
        self._report(list(problems.values()))
        self.images = [image for image in self.images if image.name not in problems]
        if not self.images:
            raise SRError(f"benchmark set {self.name}: no image is left of it ({'; '.join(self.skipped)})")

    def _report(self, problems: list[str]) -> None:
        if problems and not self._skips:
            raise SRError(f"benchmark set {self.name}: {shorten(problems)}")
        self.skipped += problems

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[BenchmarkImage]:
        return iter(self.images)


def shorten(problems: Iterable[str], shown: int = 20) -> str:
    """The first of many, and how many more there are."""
    problems = list(problems)
    more = f"; and {len(problems) - shown} more" if len(problems) > shown else ""
    return "; ".join(problems[:shown]) + more


def _problem(image: BenchmarkImage) -> str | None:
    try:
        small, large = read_image(image.lr).size, read_image(image.hr).size
    except ImageError as error:
        return str(error)
    if large != (SCALE * small[0], SCALE * small[1]):
        return (
            f"{image.hr} is {large[0]}x{large[1]}, expected {SCALE * small[0]}x{SCALE * small[1]}: "
            f"{SCALE} times the {small[0]}x{small[1]} of {image.lr}"
        )
    return None


def _png_files(folder: Path) -> dict[str, Path]:
    """Name -> path, sorted by name; files whose names start with a dot are some system's own."""
    if not folder.is_dir():
        raise SRError(f"{folder} is not a folder; a benchmark set holds HR/*.png and LRx{SCALE}/*.png of equal names")
    files = {path.name: path for path in sorted(folder.glob("*.png")) if not path.name.startswith(".")}
    if not files:
        raise SRError(f"{folder} holds no .png files")
    return files
