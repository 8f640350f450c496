"""An engine that has to prove itself on its first window."""

import warnings
from functools import cache

import numpy as np

from sr.methods import Engine
from sr.tiles import pieces

SIDE = 48  # LR pixels of the window's middle that both engines compute
BOUNDS = {"fp32": 0.5, "int8": 8.0}
"""Root mean square of the differences in levels of 255. fp32 rounds another way now and then; int8 is at 0.5 to 2 on
photographs. On noise SRGAN is at 6 and, on a CPU with AVX2 alone, all networks are at 16 to 23."""


class Checked:
    """`fast` as an engine, or `sure`, with a warning, if `fast` fails or differs in the middle of its first window."""

    def __init__(self, fast: Engine, sure: Engine):
        self._untried: tuple[Engine, Engine] | None = (fast, sure)
        self._take(fast)

    def _take(self, engine: Engine) -> None:
        self._engine = engine
        self.scale, self.overlap, self.tile, self.any_planes = (
            engine.scale,
            engine.overlap,
            engine.tile,
            engine.any_planes,
        )
        self.device, self.runtime, self.precision = engine.device, engine.runtime, engine.precision

    def __call__(self, window: np.ndarray) -> np.ndarray:
        if self._untried:
            fast, sure = self._untried
            fault = _fault(fast, sure, window)
            if fault:
                say_once(f"{fast.runtime} {fault}: networks are computed by {sure.runtime}, which is slower")
                self._take(sure)
            self._untried = None
        if max(window.shape[:2]) <= self.tile:
            return self._engine(window)
        # The picture was cut up for the other engine.
        height, width, planes = window.shape
        result = np.empty((height * self.scale, width * self.scale, planes), np.uint8)
        sizes = {"scale": self.scale, "tile": self.tile, "overlap": self.overlap}
        for top, left, piece in pieces(window, self._engine, **sizes):
            result[top : top + piece.shape[0], left : left + piece.shape[1]] = piece
        return result


def _fault(fast: Engine, sure: Engine, window: np.ndarray) -> str:
    """What is wrong with `fast`, or nothing."""
    top, left = (max(0, (side - SIDE) // 2) for side in window.shape[:2])
    crop = window[top : top + SIDE, left : left + SIDE]
    try:
        found = fast(crop)
    except RuntimeError as error:
        return f"failed ({error})"
    difference = np.sqrt(np.mean((found.astype(np.float32) - sure(crop)) ** 2))
    bound = BOUNDS[fast.precision]
    if difference <= bound:
        return ""
    return f"{fast.precision} computed another picture than {sure.runtime} ({difference:.1f} levels, above {bound})"


@cache
def say_once(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)
