"""Ratings as arrays: one per data set, with an axis for each of method, rater and image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sr.errors import SRError


@dataclass(frozen=True)
class ScoreCube:
    """The scores of one data set.

    values: float64 of shape (methods, raters, images), 1 to 5; NaN where a rater has not rated a stimulus.
    """

    dataset: str
    methods: tuple[str, ...]
    raters: tuple[str, ...]
    images: tuple[str, ...]
    values: np.ndarray

    def stimuli(self) -> np.ndarray:
        """The same scores with a row per stimulus (method by method) and a column per rater."""
        return self.values.transpose(0, 2, 1).reshape(-1, len(self.raters))


def score_cubes(ratings: pd.DataFrame, phases: Sequence[str] = ("main",)) -> list[ScoreCube]:
    """One cube per data set that has ratings in `phases`; data sets, methods, raters and images sorted by name.

    Only the main part counts unless said otherwise: calibration is practice, and a second showing would count its
    stimulus twice.

    Args:
        ratings: a row per rating, with the columns rater, dataset, image, method, phase, score.

    Raises:
        SRError: a rater has rated a stimulus twice.
    """
    shown = ratings[ratings["phase"].isin(list(phases))]
    cubes = []
    for dataset, rows in shown.groupby("dataset", observed=True, sort=True):
        axes = [pd.factorize(rows[column].astype(str), sort=True) for column in ("method", "rater", "image")]
        codes = tuple(codes for codes, _ in axes)
        names = [tuple(map(str, names)) for _, names in axes]
        shape = tuple(map(len, names))
        places = np.ravel_multi_index(codes, shape)
        counts = np.bincount(places, minlength=1)
        if counts.max() > 1:
            method, rater, image = (
                names[axis][place] for axis, place in enumerate(np.unravel_index(int(counts.argmax()), shape))
            )
            raise SRError(f"Rater {rater} has rated {method} of {dataset}/{image} {counts.max()} times in one phase")
        values = np.full(shape, np.nan)
        values[codes] = rows["score"].to_numpy(float)
        cubes.append(ScoreCube(str(dataset), *names, values))
    return cubes
