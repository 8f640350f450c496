"""Benchmark sets on disk: DIR/NAME/HR/*.png and DIR/NAME/LRx4/*.png, an LR image having its HR image's file name."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sr.errors import SRError
from sr.images import read_image

SCALE = 4


class BenchmarkImage(NamedTuple):
    name: str  # file name without .png, for example img_001
    lr: Path
    hr: Path


class BenchmarkSet:
    """One set, for example BenchmarkSet("data/benchmark", "Set5"): iterates BenchmarkImages, sorted by name.

    Every file is read once here, so that a long evaluation does not stop half-way. Raises SRError that names what is
    wrong: a missing or empty folder, an image in one folder without its counterpart, a file that is no image, an HR
    image that is not four times as wide and as high as its LR image.
    """

    def __init__(self, root: Path | str, name: str):
        self.name = name
        folder = Path(root) / name
        if not folder.is_dir():
            raise SRError(f"benchmark set {name}: {folder} is not a folder; it should hold HR/ and LRx{SCALE}/")
        hr, lr = _png_files(folder / "HR"), _png_files(folder / f"LRx{SCALE}")
        for here, there, missing in ((hr, lr, f"LRx{SCALE}"), (lr, hr, "HR")):
            alone = [file for file in here if file not in there]
            if alone:
                more = f" and {len(alone) - 1} more" if len(alone) > 1 else ""
                raise SRError(f"benchmark set {name}: {folder / missing} lacks {alone[0]}{more}")
        self.images = [BenchmarkImage(Path(file).stem, lr[file], hr[file]) for file in hr]
        for image in self.images:
            small, large = read_image(image.lr).size, read_image(image.hr).size
            if large != (SCALE * small[0], SCALE * small[1]):
                raise SRError(
                    f"{image.hr} is {large[0]}x{large[1]}, expected {SCALE * small[0]}x{SCALE * small[1]}: "
                    f"{SCALE} times the {small[0]}x{small[1]} of {image.lr}"
                )

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[BenchmarkImage]:
        return iter(self.images)


def _png_files(folder: Path) -> dict[str, Path]:
    """Name -> path, sorted by name; files whose names start with a dot are some system's own."""
    if not folder.is_dir():
        raise SRError(f"{folder} is not a folder; a benchmark set holds HR/*.png and LRx{SCALE}/*.png of equal names")
    files = {path.name: path for path in sorted(folder.glob("*.png")) if not path.name.startswith(".")}
    if not files:
        raise SRError(f"{folder} holds no .png files")
    return files
