"""Covering a picture by windows that are enlarged one by one, so that memory does not grow with the picture."""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

Progress = Callable[[int, int], None]


def windows(side: int, limit: int, overlap: int) -> list[tuple[slice, slice]]:
    """Cover one side of an image by windows of one size, as small as their number allows: (what to read, what to keep).

    Neighbours share at least 2 * overlap pixels and each keeps up to the middle of that. No window is longer than
    `limit`, which must be above 2 * overlap.
    """
    if side <= limit:
        return [(slice(0, side), slice(0, side))]
    count = math.ceil((side - 2 * overlap) / (limit - 2 * overlap))
    size = math.ceil((side + (count - 1) * 2 * overlap) / count)
    starts = [i * (side - size) // (count - 1) for i in range(count)]
    cuts = [0, *((start + size + following) // 2 for start, following in pairwise(starts)), side]
    return [(slice(starts[i], starts[i] + size), slice(cuts[i], cuts[i + 1])) for i in range(count)]


def pieces(
    pixels: np.ndarray,
    enlarge: Callable[[np.ndarray], np.ndarray],
    *,
    scale: int,
    tile: int,
    overlap: int,
    progress: Progress | None = None,
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Enlarged pieces of (H, W, C) that cover the result, each with its place in it: (top, left, piece).

    enlarge: (h, w, C) -> (scale*h, scale*w, C); an exception that it raises ends the work and reaches the caller.
    tile: longest side of what it gets, in LR pixels. overlap: LR pixels that it must see around what is kept.
    progress: called as progress(done, total) after every window.
    """
    rows, columns = (windows(side, tile, overlap) for side in pixels.shape[:2])
    total = len(rows) * len(columns)
    for done in range(total):
        (seen_y, kept_y), (seen_x, kept_x) = rows[done // len(columns)], columns[done % len(columns)]
        large = enlarge(pixels[seen_y, seen_x])
        top, bottom = ((y - seen_y.start) * scale for y in (kept_y.start, kept_y.stop))
        left, right = ((x - seen_x.start) * scale for x in (kept_x.start, kept_x.stop))
        yield kept_y.start * scale, kept_x.start * scale, large[top:bottom, left:right]
        if progress:
            progress(done + 1, total)
