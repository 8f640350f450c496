"""All methods of a data set at once: do they differ at all (Friedman), and which do (Nemenyi)?"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from mos_study.statistics.cube import ScoreCube, score_cubes
from mos_study.statistics.pairs import unit_values, units_of

FRIEDMAN_TYPES = {
    "dataset": str,
    "unit": str,
    "methods": int,
    "n": int,
    "left_out": int,
    "statistic": float,
    "p": float,
}
NEMENYI_TYPES = {"dataset": str, "a": str, "b": str, "rank_a": float, "rank_b": float, "p": float}


@dataclass(frozen=True)
class _Blocks:
    """ranks: (blocks, methods), of the units in which every method is rated; 1 is the best, ties share their mean."""

    cube: ScoreCube
    ranks: np.ndarray
    left_out: int


def friedman_table(ratings: pd.DataFrame, unit: str = "rating") -> pd.DataFrame:
    """Friedman's (1937) test that all methods of a data set are rated alike, with its correction for ties.

    A block is a unit (`mos_study.statistics.pairs.UNITS`) in which every method is rated: a rater's scores of an image,
    or the means over the raters who have rated all methods of an image, or over the images of which a rater has rated
    all. With two methods there are only pairs to compare, and no row.

    Returns:
        dataset, unit, methods (how many), n (blocks), left_out (units that lack a method), statistic (chi-square of
        methods - 1 degrees of freedom), p. If all is tied in every block, the statistic is 0 and p is 1.
    """
    rows = []
    for blocks in _blocks(ratings, unit):
        n, methods = blocks.ranks.shape
        statistic = _friedman(blocks.ranks) if n else np.nan
        p = stats.chi2.sf(statistic, methods - 1)
        rows.append((blocks.cube.dataset, unit, methods, n, blocks.left_out, statistic, p))
    return pd.DataFrame(rows, columns=list(FRIEDMAN_TYPES)).astype(FRIEDMAN_TYPES)


def nemenyi_table(ratings: pd.DataFrame, unit: str = "rating") -> pd.DataFrame:
    """Nemenyi's test of all pairs after Friedman's, on the same blocks: Demšar (2006), section 3.2.2.

    The difference of two average ranks over sqrt(k (k + 1) / (6 n)), k methods in n blocks, has the distribution of the
    studentized range divided by sqrt(2). It is corrected for all pairs by itself. It takes no account of ties, and so
    finds rather too little where there are many.

    Returns:
        dataset, a, b (sorted by name), rank_a, rank_b (average ranks, 1 is the best), p.
    """
    rows = []
    for blocks in _blocks(ratings, unit):
        n, methods = blocks.ranks.shape
        ranks = blocks.ranks.mean(axis=0) if n else np.full(methods, np.nan)
        a, b = np.array(list(combinations(range(methods), 2))).T
        error = np.sqrt(methods * (methods + 1) / (6 * n)) if n else np.nan
        p = stats.studentized_range.sf(np.sqrt(2) * np.abs(ranks[a] - ranks[b]) / error, methods, np.inf)
        names = np.array(blocks.cube.methods)
        columns = (names[a], names[b], ranks[a], ranks[b], p)
        rows += [(blocks.cube.dataset, *row) for row in zip(*columns, strict=True)]
    return pd.DataFrame(rows, columns=list(NEMENYI_TYPES)).astype(NEMENYI_TYPES)


def _blocks(ratings: pd.DataFrame, unit: str) -> list[_Blocks]:
    """One for each data set of three methods or more."""
    found = []
    for cube in score_cubes(ratings):
        if len(cube.methods) < 3:
            continue
        rated = ~np.isnan(cube.values)
        complete = rated.all(axis=0)
        values = unit_values(cube.values, complete, unit)
        left_out = units_of(rated.any(axis=0), unit).sum() - values.shape[1]
        found.append(_Blocks(cube, stats.rankdata(-values.T, axis=1), int(left_out)))
    return found


def _friedman(ranks: np.ndarray) -> float:
    """ranks: (blocks, methods). Divided by their own variance, which corrects for ties (Conover 1999, section 5.8)."""
    methods = ranks.shape[1]
    centred = ranks - (methods + 1) / 2
    squares = (centred**2).sum()
    return float((methods - 1) * (centred.sum(axis=0) ** 2).sum() / squares) if squares else 0.0
