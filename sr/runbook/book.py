"""What a run-book is asked for, and the record of what it has done."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sr.errors import SRError
from sr.evaluate import write_json


@dataclass(frozen=True)
class Order:
    """What a run-book is asked for.

    data: as for `sr.data.open_images`. vgg: as for `sr.losses.VGGLoss`.
    minutes: of wall time for everything, the evaluation included, over all parts of an interrupted run-book.
    sets: of `benchmark`; the first one is measured during the training, all before and after it.
    settings: of all stages (`sr.config`), for trials; "init" is what SRResNet starts from.
    """

    out: Path
    data: list[Path]
    device: torch.device
    minutes: float
    benchmark: Path
    sets: list[str]
    vgg: Path | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """All but `out`, for the record."""
        folders = {"data": [str(path.resolve()) for path in self.data], "benchmark": str(self.benchmark.resolve())}
        folders["vgg"] = str(self.vgg.resolve()) if self.vgg else None
        return {
            "minutes": self.minutes,
            "device": self.device.type,
            "sets": self.sets,
            "settings": self.settings,
        } | folders


class Book:
    """What a run-book has done so far, kept in OUT/run-book.json once it is planned.

    Raises SRError when that file is of another order.
    """

    def __init__(self, order: Order):
        self.order, self.path = order, order.out / "run-book.json"
        self.state: dict[str, Any] = {"order": order.plain(), "seconds": 0.0, "stages": {}, "finished": False}
        if self.path.is_file():
            self.state = json.loads(self.path.read_text(encoding="utf-8"))
            for key, value in order.plain().items():
                if (before := self.state["order"].get(key)) != value:
                    raise SRError(
                        f"{order.out} was begun with {key} {before}, now it is {value}; repeat the command as it was, "
                        "or start anew in another folder"
                    )
        self._started = time.monotonic() - self.state["seconds"]

    @property
    def is_planned(self) -> bool:
        return "deadlines" in self.state

    @property
    def seconds(self) -> float:
        """Of wall time, over all parts."""
        return time.monotonic() - self._started

    def count_at_least(self, seconds: float) -> None:
        """A part that was killed could not write down its time."""
        self._started = min(self._started, time.monotonic() - seconds)

    def save(self) -> None:
        self.state["seconds"] = round(self.seconds, 1)
        write_json(self.path, self.state)

    def say(self, text: str) -> None:
        print(f"[{self.seconds / 60:.1f} of {self.order.minutes:g} min] {text}", flush=True)
