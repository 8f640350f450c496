"""Variance components of ratings with gaps: how much stimuli, raters and the rest make scores differ."""

from dataclasses import dataclass

import numpy as np

from mos_study.statistics.intervals import multiplicities

CHUNK = 4_000_000  # entries of the largest temporary arrays


@dataclass(frozen=True)
class Components:
    """Variances of score = mean + stimulus + rater + residual, all random; numbers, or arrays with one per resample.

    NaN where the ratings hold no pair that tells them. Unbiased, so that one near 0 can be negative.
    """

    stimuli: np.ndarray
    raters: np.ndarray
    residual: np.ndarray


def components(scores: np.ndarray) -> Components:
    """Estimates from pairs of ratings, whatever is missing; with every rating there, those of the analysis of variance.

    Half the squared difference of two ratings has the expectation raters + residual for one stimulus and two raters,
    stimuli + residual for one rater and two stimuli, and the sum of all three where both differ. The means over all
    such pairs (U-statistics: Hoeffding 1948) give the three components.

    Args:
        scores: a row per stimulus, a column per rater, NaN where not rated.
    """
    found = _weighted(*_centred(scores), np.ones((1, scores.shape[0])), np.ones((1, scores.shape[1])))
    return Components(found.stimuli[0], found.raters[0], found.residual[0])


def bootstrapped_components(scores: np.ndarray, rng: np.random.Generator, resamples: int) -> Components:
    """The components of `resamples` studies whose stimuli and raters are drawn again, independently of each other.

    Two-way (pigeonhole) bootstrap: Owen (2007), "The pigeonhole bootstrap". Two copies of a stimulus or of a rater are
    no pair: they would agree perfectly.
    """
    rated, centred = _centred(scores)
    stimuli, raters = (multiplicities(size, resamples, rng) for size in scores.shape)
    step = max(1, CHUNK // max(scores.shape))
    parts = [
        _weighted(rated, centred, stimuli[first : first + step], raters[first : first + step])
        for first in range(0, resamples, step)
    ]
    return Components(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))


def _centred(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where there are ratings (1, 0), and the ratings minus their mean, 0 where there are none."""
    rated = ~np.isnan(scores)
    mean = scores[rated].mean() if rated.any() else 0.0
    return rated.astype(float), np.where(rated, scores - mean, 0.0)


def _weighted(rated: np.ndarray, centred: np.ndarray, stimuli: np.ndarray, raters: np.ndarray) -> Components:
    """stimuli, raters: how often each is in a resample, a row per resample.

    The sum of half squared differences over all pairs of a set with weights w is (sum w)(sum w y^2) - (sum w y)^2, and
    their number (sum w)^2, each pair being counted twice in both. What is not wanted, pairs with itself, is taken away.
    """
    of_stimulus = _sums(rated, centred, raters)
    of_rater = _sums(rated.T, centred.T, stimuli)
    count, total, square = ((stimuli * sums).sum(axis=1) for sums in of_stimulus)
    with_itself = [
        ((raters**q @ rated.T) * stimuli**p).sum(axis=1)  # ratings, by copies of the stimulus and of the rater
        for p, q in ((1, 2), (2, 1), (2, 2))
    ]
    in_stimulus, in_rater = (n * squares - sums**2 for n, sums, squares in (of_stimulus, of_rater))
    pairs_in_stimulus, pairs_in_rater = of_stimulus[0] ** 2, of_rater[0] ** 2

    one_stimulus = _ratio(
        (stimuli * in_stimulus).sum(axis=1), (stimuli * pairs_in_stimulus).sum(axis=1) - with_itself[0]
    )
    one_rater = _ratio((raters * in_rater).sum(axis=1), (raters * pairs_in_rater).sum(axis=1) - with_itself[1])
    neither = _ratio(
        count * square - total**2 - (stimuli**2 * in_stimulus).sum(axis=1) - (raters**2 * in_rater).sum(axis=1),
        count**2
        - (stimuli**2 * pairs_in_stimulus).sum(axis=1)
        - (raters**2 * pairs_in_rater).sum(axis=1)
        + with_itself[2],
    )
    return Components(neither - one_stimulus, neither - one_rater, one_stimulus + one_rater - neither)


def _sums(rated: np.ndarray, centred: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per row and resample: the weighted number, sum and sum of squares of its ratings; weights are of the columns."""
    return weights @ rated.T, weights @ centred.T, weights @ (centred**2).T


def _ratio(total: np.ndarray, number: np.ndarray) -> np.ndarray:
    """A mean over pairs; NaN if there is none. Numbers are whole, up to rounding."""
    return total / np.where(number > 0.5, number, np.nan)
