"""The example photos of `demo/examples`, with what the page says about them."""

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "examples"


@dataclass(frozen=True)
class Example:
    name: str
    title: str
    shows: str
    focus: tuple[float, float]  # where the zoomed crop starts: fractions of the width and the height
    file: str  # in scikit-image's sample images
    crop: tuple[int, int, int, int]  # left, top, right, bottom in that file, in pixels
    author: str
    licence: str
    source: str

    @property
    def hr(self) -> Path:
        return FOLDER / "hr" / f"{self.name}.png"

    @property
    def lr(self) -> Path:
        return FOLDER / "lr" / f"{self.name}.png"


def load_examples() -> list[Example]:
    entries = json.loads((FOLDER / "examples.json").read_text(encoding="utf-8"))
    return [Example(**{**entry, "focus": tuple(entry["focus"]), "crop": tuple(entry["crop"])}) for entry in entries]
