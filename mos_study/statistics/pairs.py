"""Every pair of methods: whether one is rated higher than the other, and by how much.

The pairing unit says what counts as one observation. `rating`: a rater's two scores of one image, as the paper's sample
sizes imply; ratings of one rater, and of one image, are not independent, so that its p values come out too small.
`image`: the means over raters, which generalises over images. `rater`: the means over images, which generalises over
raters.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from mos_study.paper import ALPHA, label
from mos_study.statistics.cube import ScoreCube, score_cubes
from mos_study.statistics.intervals import RESAMPLES, Interval, multiplicities, percentile_interval, two_way
from sr.errors import SRError

UNITS = ("rating", "image", "rater")
ZEROS = ("pratt", "wilcox", "zsplit")
NEVER_TOGETHER = "never rated together"

DECIMALS = 9  # of differences: sums in another order must not make unequal what is equal
EXACT = 13  # up to so many differences scipy's test with ties is exact as well
CHUNK_NUMBERS = 2_000_000  # in a temporary array of the bootstrap: 16 MB of float64

TYPES = {
    "dataset": str,
    "a": str,
    "b": str,
    "unit": str,
    "n": int,
    "left_out": int,
    "difference": float,
    "statistic": float,
    "p": float,
    "p_holm": float,
    "effect": float,
    "effect_low": float,
    "effect_high": float,
    "verdict": str,
}


def pair_table(ratings: pd.DataFrame, unit: str = "rating", zeros: str = "pratt", seed: int = 0) -> pd.DataFrame:
    """Paired two-sided Wilcoxon signed-rank tests (Wilcoxon 1945) of all pairs of a data set's methods.

    p_holm is p corrected for the number of the data set's pairs (Holm 1979). The effect is the matched-pairs
    rank-biserial correlation (Kerby 2014): the ranks' sum of the units where a is rated higher, minus that of those
    where b is, as a share of both; 1 if a is always higher, -1 if b is. Its interval is the two-way bootstrap's (Owen
    2007, "The pigeonhole bootstrap"), raters and images drawn anew whatever the unit, and reaches to the effect itself:
    drawing anew pulls means apart, and so effects away from 1 and -1.

    Args:
        ratings: a row per rating; the main part counts.
        unit: one of UNITS, see above.
        zeros: what becomes of equal scores, as in `scipy.stats.wilcoxon`: `pratt` ranks them along and then drops their
            ranks (Pratt 1959), `wilcox` drops them before ranking, `zsplit` gives half of their ranks to either side.
            The effect follows suit.
        seed: of the bootstrap.

    Returns:
        dataset, a, b (sorted by name), unit, n (units in which both are rated, equal scores included), left_out (units
        with ratings of one or the other, but by nobody who has rated both), difference (the units' mean of a - b),
        statistic, p, p_holm, effect, effect_low, effect_high (the ends of its interval), verdict (a sentence). Numbers
        are NaN where two methods were never rated together. If no unit differs, p is 1 and the effect 0.
    """
    _require(unit, "pairing unit", UNITS)
    _require(zeros, "way with zeros", ZEROS)
    rows = []
    for cube in score_cubes(ratings):
        pairs = list(_compare(cube, unit, zeros, seed))
        tested = [pair for pair in pairs if pair["n"]]
        if tested:
            corrected = multipletests([pair["p"] for pair in tested], method="holm")[1]
            for pair, p_holm in zip(tested, corrected, strict=True):
                pair["p_holm"] = p_holm
        rows += [pair | {"verdict": _verdict(pair)} for pair in pairs]
    return pd.DataFrame(rows, columns=list(TYPES)).astype(TYPES)


def units_of(rated: np.ndarray, unit: str) -> np.ndarray:
    """Which units have a rating; rated: bool (raters, images)."""
    _require(unit, "pairing unit", UNITS)
    if unit == "rating":
        return rated.ravel()
    return rated.any(axis=0 if unit == "image" else 1)


def unit_values(values: np.ndarray, rated: np.ndarray, unit: str) -> np.ndarray:
    """The values (..., raters, images), or their means, of every unit that has a rating; shape (..., units).

    rated: bool (raters, images), what counts of the values.
    """
    units = units_of(rated, unit)
    if unit == "rating":
        return np.round(values[..., rated], DECIMALS)
    axis = -2 if unit == "image" else -1
    sums = np.where(rated, values, 0).sum(axis)
    return np.round(sums[..., units] / rated.sum(axis)[units], DECIMALS)


def _compare(cube: ScoreCube, unit: str, zeros: str, seed: int) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    draws = multiplicities(len(cube.raters), RESAMPLES, rng), multiplicities(len(cube.images), RESAMPLES, rng)
    rated = ~np.isnan(cube.values)
    for (a, name_a), (b, name_b) in combinations(enumerate(cube.methods), 2):
        both = rated[a] & rated[b]
        of_ratings = np.round(cube.values[a] - cube.values[b], DECIMALS)
        differences = unit_values(of_ratings, both, unit)
        n = len(differences)
        pair = {"dataset": cube.dataset, "a": name_a, "b": name_b, "unit": unit, "n": n}
        pair["left_out"] = units_of(rated[a] | rated[b], unit).sum() - n
        if n:
            plus, minus = _rank_sums(differences, np.ones(n), zeros)
            pair |= {
                "difference": differences.mean(),
                "statistic": min(plus, minus),
                "p": _p_value(differences, plus, zeros),
                "effect": float(_rank_biserial(plus, minus)),
            }
            low, high = _effect_interval(of_ratings, both, unit, zeros, *draws)
            pair["effect_low"], pair["effect_high"] = np.minimum(low, pair["effect"]), np.maximum(high, pair["effect"])
        yield pair


def _p_value(differences: np.ndarray, plus: float, zeros: str) -> float:
    """That of `scipy.stats.wilcoxon`, whose exact test takes seconds where there are ties.

    plus: the ranks' sum of the positive differences.
    """
    if not differences.any():
        return 1.0
    if len(differences) > EXACT:
        return float(stats.wilcoxon(differences, zero_method=zeros).pvalue)
    sizes = np.abs(differences)
    ranks = stats.rankdata(sizes[sizes > 0] if zeros == "wilcox" else sizes)
    doubled = np.rint(2 * ranks).astype(int)  # whole numbers, whatever is tied
    nonzero = doubled if zeros == "wilcox" else doubled[sizes > 0]
    halves = doubled[sizes == 0].sum() / 2 if zeros == "zsplit" else 0
    # The chances of every sum of the positive ranks, each rank being positive or not like a coin's toss.
    chances = np.zeros(nonzero.sum() + 1)
    chances[0] = 1
    for rank in nonzero:
        chances[rank:] = (chances[rank:] + chances[:-rank]) / 2
        chances[:rank] /= 2
    observed = round(2 * plus - halves)
    return float(min(1, 2 * min(chances[: observed + 1].sum(), chances[observed:].sum())))


def _rank_sums(differences: np.ndarray, weights: np.ndarray, zeros: str) -> tuple[np.ndarray, np.ndarray]:
    """Wilcoxon's sums of the ranks of positive and of negative differences, with ties and zeros.

    weights: how often each difference is there; of the shape (..., n) of the differences, or one that they fit.
    """
    sizes = np.abs(differences)
    order = np.argsort(sizes, axis=-1)
    sizes = np.take_along_axis(sizes, order, axis=-1)
    signs = np.sign(np.take_along_axis(differences, order, axis=-1))
    weights = np.take_along_axis(weights, np.broadcast_to(order, weights.shape), axis=-1)
    if zeros == "wilcox":
        weights = np.where(signs == 0, 0, weights)

    # Equal sizes share the mean of the places that they take: from the first one's start to the last one's end.
    step = sizes[..., 1:] > sizes[..., :-1]
    edge = np.ones((*step.shape[:-1], 1), bool)
    first, last = np.concatenate([edge, step], axis=-1), np.concatenate([step, edge], axis=-1)
    ends = np.cumsum(weights, axis=-1)
    start = np.maximum.accumulate(np.where(first, ends - weights, 0), axis=-1)
    end = np.minimum.accumulate(np.where(last, ends, np.inf)[..., ::-1], axis=-1)[..., ::-1]
    ranks = weights * (start + end + 1) / 2

    split = (ranks * (signs == 0)).sum(-1) / 2 if zeros == "zsplit" else 0
    return (ranks * (signs > 0)).sum(-1) + split, (ranks * (signs < 0)).sum(-1) + split


def _rank_biserial(plus: np.ndarray, minus: np.ndarray) -> np.ndarray:
    """Kerby's simple difference; 0 where nothing differs."""
    total = np.asarray(plus + minus)
    return np.divide(plus - minus, total, out=np.zeros(total.shape), where=total > 0)


def _effect_interval(
    differences: np.ndarray,
    both: np.ndarray,
    unit: str,
    zeros: str,
    rater_draws: np.ndarray,
    image_draws: np.ndarray,
) -> Interval:
    """differences: (raters, images), counting where `both`. draws: how often each is in a resample, a row each."""
    chunk = max(1, CHUNK_NUMBERS // max(differences.shape))
    parts = []
    for start in range(0, len(rater_draws), chunk):
        raters, images = rater_draws[start : start + chunk], image_draws[start : start + chunk]
        if unit == "rating":
            drawn, weights = _drawn_differences(differences, both, raters, images)
        elif unit == "image":
            drawn, weights = _drawn_means(differences, both, raters, images)
        else:
            drawn, weights = _drawn_means(differences.T, both.T, images, raters)
        effects = _rank_biserial(*_rank_sums(drawn, weights, zeros))
        parts.append(np.where(weights.any(-1), effects, np.nan))
    return percentile_interval(np.concatenate(parts), two_way(both))


def _drawn_differences(
    differences: np.ndarray, both: np.ndarray, raters: np.ndarray, images: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The distinct differences, and how often each is in every resample (a row).

    Differences of one rater's scores are few whole numbers, also without the rater's bias, which they do not contain.
    """
    distinct = np.unique(differences[both])
    raters, images = raters.astype(np.float32), images.astype(np.float32)  # exact for whole numbers up to 2^24
    counts = [((raters @ (differences == value).astype(np.float32)) * images).sum(-1) for value in distinct]
    return distinct, np.stack(counts, axis=-1).astype(float)


def _drawn_means(
    differences: np.ndarray, both: np.ndarray, over: np.ndarray, units: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Every resample's (a row's) means per unit, and how often the unit is in it.

    differences: (what the means are over, units). over, units: how often each of these is in a resample.
    """
    counts = over @ both.astype(float)
    sums = over @ np.where(both, differences, 0)
    means = np.round(np.divide(sums, counts, out=np.zeros(sums.shape), where=counts > 0), DECIMALS)
    return means, np.where(counts > 0, units, 0)


def _verdict(pair: dict[str, Any]) -> str:
    if not pair["n"]:
        return NEVER_TOGETHER
    better, other = (label(pair[end]) for end in (("a", "b") if pair["effect"] > 0 else ("b", "a")))
    if pair["p_holm"] < ALPHA:
        return f"{better} is rated higher than {other}"
    if pair["p"] < ALPHA:
        return f"no difference found after Holm's correction; without it, {better} is rated higher than {other}"
    return "no difference found"


def _require(chosen: str, what: str, choices: tuple[str, ...]) -> None:
    if chosen not in choices:
        raise SRError(f"There is no {what} {chosen!r}: choose one of {', '.join(choices)}")
