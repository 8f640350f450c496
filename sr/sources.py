"""Where a benchmark's pictures come from: methods that enlarge, the originals, folders of pictures made elsewhere."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from sr.benchmark import BenchmarkImage, BenchmarkSet
from sr.errors import ImageError, SRError
from sr.images import read_image, read_rgb_array
from sr.methods import METHODS, load
from sr.paper import TITLES

HR = "hr"
FOLDER = "folder:"


class Source(Protocol):
    """What a row of a table shows.

    name: the row's. title: the same for people. `check` gives what is wrong with its picture of an image, by the
    image's name; `picture` its picture of one, uint8 (4H, 4W, 3), from LR (H, W, 3) and HR (4H, 4W, 3).
    """

    name: str
    title: str

    def check(self, images: BenchmarkSet) -> dict[str, str]: ...

    def picture(self, set_name: str, image: BenchmarkImage, lr: np.ndarray, hr: np.ndarray) -> np.ndarray: ...


class Enlarged:
    """A method of `sr.methods.METHODS`, in fp32."""

    def __init__(self, name: str, device: str, weights: Path | None):
        self.name, self.title = name, METHODS[name].title
        self.upscaler = load(name, device=device, precision="fp32", runtime="torch", weights=weights)

    def check(self, images: BenchmarkSet) -> dict[str, str]:
        return {}

    def picture(self, set_name: str, image: BenchmarkImage, lr: np.ndarray, hr: np.ndarray) -> np.ndarray:
        return self.upscaler.upscale(lr)


class Originals:
    """The HR images themselves."""

    name, title = HR, TITLES[HR]

    def check(self, images: BenchmarkSet) -> dict[str, str]:
        return {}

    def picture(self, set_name: str, image: BenchmarkImage, lr: np.ndarray, hr: np.ndarray) -> np.ndarray:
        return hr


class MadeElsewhere:
    """Pictures in files, for example those that the authors of another method published.

    pattern: PATH, where the picture of an image is PATH/SET/NAME.png, or a path with {set} and {name} in it, for
        example selfexsr/{set}/image_SRF_4/{name}_SRF_4_SelfExSR.png.
    """

    def __init__(self, name: str, pattern: str):
        self.name, self.title = name, TITLES.get(name, name)
        self._pattern = pattern if "{name}" in pattern else str(Path(pattern) / "{set}" / "{name}.png")

    def _file(self, set_name: str, image: BenchmarkImage) -> Path:
        return Path(self._pattern.replace("{set}", set_name).replace("{name}", image.name))

    def check(self, images: BenchmarkSet) -> dict[str, str]:
        return {image.name: problem for image in images if (problem := self._problem(images.name, image))}

    def _problem(self, set_name: str, image: BenchmarkImage) -> str | None:
        file = self._file(set_name, image)
        if not file.is_file():
            return f"{self.name} lacks {file}"
        try:
            size, expected = read_image(file).size, read_image(image.hr).size
        except ImageError as error:
            return str(error)
        if size != expected:
            return f"{file} is {size[0]}x{size[1]}, expected {expected[0]}x{expected[1]} as {image.hr}"
        return None

    def picture(self, set_name: str, image: BenchmarkImage, lr: np.ndarray, hr: np.ndarray) -> np.ndarray:
        return read_rgb_array(self._file(set_name, image))


def open_source(text: str, device: str = "auto", weights: Mapping[str, Path] | None = None) -> Source:
    """What `text` means: a method's name, "hr", or "folder:PATH" (`MadeElsewhere`), named after the folder unless a
    name stands before it: "NAME=folder:PATH".

    device: as for `sr.load`. weights: method -> safetensors file to use instead of the shipped one.
    Raises SRError for an unknown method and what `sr.load` raises it for.
    """
    name, separator, place = text.rpartition(FOLDER)
    if separator:
        fixed = place.partition("{")[0] if "{name}" in place else place
        name = name.removesuffix("=") or Path(fixed).name.lower()
        if not place or not re.fullmatch(r"\w[\w.+-]*", name):
            raise SRError(
                f"{text!r} names no folder of pictures; write folder:PATH or NAME=folder:PATH, with NAME of letters, "
                f"digits, dots, hyphens and plus signs"
            )
        if name in METHODS or name == HR:
            raise SRError(f"{text!r}: {name} is one of this project's methods; give the pictures another name")
        return MadeElsewhere(name, place)
    if text == HR:
        return Originals()
    if text not in METHODS:
        known = ", ".join([*METHODS, HR])
        raise SRError(f"unknown method {text!r}; use one of {known}, or folder:PATH for pictures made elsewhere")
    return Enlarged(text, device, (weights or {}).get(text))
