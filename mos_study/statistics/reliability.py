"""How far raters agree with each other, and with themselves."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mos_study.statistics.components import Components, bootstrapped_components, components
from mos_study.statistics.intervals import CONFIDENCE
from mos_study.statistics.subjects import stimulus_scores

MCGRAW_WONG, BOOTSTRAP = "McGraw & Wong", "bootstrap"
PAIR = ["rater", "dataset", "image", "method"]  # what the two ratings of a retest have in common


@dataclass(frozen=True)
class Icc:
    """The share of the stimuli in the variance of one rating (icc2_1) and of the mean of k raters (icc2_k).

    NaN where the ratings do not tell it. interval: how the intervals were made, McGraw & Wong or bootstrap.
    """

    icc2_1: float
    icc2_1_ci: tuple[float, float]
    icc2_k: float
    icc2_k_ci: tuple[float, float]
    k: float
    interval: str


def icc(scores: np.ndarray, seed: int = 0, resamples: int = 1000) -> Icc:
    """ICC(2,1) and ICC(2,k), agreement of raters drawn from a population: Shrout and Fleiss (1979).

    With every rating there: the analysis of variance, with the intervals of McGraw and Wong (1996), Table 7. With
    missing ones: the variance components of `components`, k being the harmonic mean of the numbers of raters per
    stimulus, with a percentile interval over stimuli and raters drawn again (two-way, seeded).

    Args:
        scores: a row per stimulus, a column per rater, NaN where not rated.
    """
    rated = ~np.isnan(scores)
    scores = scores[np.ix_(rated.any(axis=1), rated.any(axis=0))]
    counts = (~np.isnan(scores)).sum(axis=1)
    k = len(counts) / (1 / counts).sum() if counts.size else math.nan
    found = components(scores)
    single = _share(found)
    method = BOOTSTRAP if np.isnan(scores).any() else MCGRAW_WONG
    ends = (math.nan, math.nan)
    if math.isfinite(single) and method == MCGRAW_WONG:
        ends = _mcgraw_wong(found, single, *scores.shape)
    elif math.isfinite(single):
        drawn = _share(bootstrapped_components(scores, np.random.default_rng(seed), resamples))
        tail = (1 - CONFIDENCE) / 2
        if np.isfinite(drawn).any():  # a draw may hold no pair of one kind, and with few ratings each does
            ends = np.nanquantile(drawn, [tail, 1 - tail])
    of_mean = _of_mean(np.array([single, *ends]), k)
    low, high = map(float, ends)
    return Icc(float(single), (low, high), float(of_mean[0]), (float(of_mean[1]), float(of_mean[2])), float(k), method)


def krippendorff_alpha(scores: np.ndarray, level: str) -> float:
    """Krippendorff's alpha, 1 - observed / expected disagreement: Krippendorff (2011), "Computing Krippendorff's
    alpha-reliability". Stimuli with one rating are in no pair and do not count.

    The squared differences are those of the scores (level interval) or of their ranks, ties averaged (ordinal: half of
    two values' ratings and all between them are what lies between their mean ranks). So sums of squares do, where the
    package `krippendorff` needs an array of stimuli x values x values: out of reach once biases are removed.

    Args:
        scores: a row per stimulus, a column per rater, NaN where not rated.
        level: interval or ordinal.

    Returns:
        1 for agreement, about 0 for chance; NaN if all pairable scores are the same, or none is.
    """
    rated = ~np.isnan(scores)
    pairable = rated.sum(axis=1) > 1
    rated, scores = rated[pairable], scores[pairable]
    values = scores[rated]
    if values.size == 0 or np.ptp(values) == 0:
        return math.nan
    values = stats.rankdata(values) if level == "ordinal" else values
    centred = np.zeros(scores.shape)
    centred[rated] = values - values.mean()
    counts = rated.sum(axis=1)
    within = (np.einsum("sr,sr->s", centred, centred) - centred.sum(axis=1) ** 2 / counts) * counts / (counts - 1)
    return float(1 - within.sum() * (len(values) - 1) / (len(values) * (centred**2).sum()))


def sos_a(scores: np.ndarray) -> float:
    """The parameter a of the SOS hypothesis: Hossfeld, Schatz and Egger (2011), "SOS: The MOS is not enough!".

    On a scale from 1 to 5 the variance of a stimulus's scores is a * (-x^2 + 6 x - 5) of its mean x: fitted by least
    squares over the stimuli with two ratings or more. NaN if there is none, or all means are 1 or 5.
    """
    rated = ~np.isnan(scores)
    scores, rated = scores[rated.sum(axis=1) > 1], rated[rated.sum(axis=1) > 1]
    counts = rated.sum(axis=1)
    means = np.nansum(scores, axis=1) / counts
    variances = np.nansum((scores - means[:, None]) ** 2, axis=1) / (counts - 1)  # of a sample: ddof 1
    shape = -(means**2) + 6 * means - 5
    return float(shape @ variances / (shape @ shape)) if shape.any() else math.nan


def sos(ratings: pd.DataFrame) -> float:
    """`sos_a` over the main stimuli of all data sets."""
    return sos_a(stimulus_scores(ratings)[0])


def retest_pairs(ratings: pd.DataFrame) -> pd.DataFrame:
    """A row per stimulus that a rater has rated twice: rater, dataset, image, method, first, second (the scores)."""
    again = ratings.loc[ratings["phase"] == "retest", [*PAIR, "score"]]
    main = ratings.loc[(ratings["phase"] == "main") & ratings["rater"].isin(again["rater"]), [*PAIR, "score"]]
    pairs = main.rename(columns={"score": "first"}).merge(again.rename(columns={"score": "second"}), on=PAIR)
    return pairs.astype({"first": float, "second": float})


def retest(ratings: pd.DataFrame) -> dict[str, Any] | None:
    """How the second ratings of stimuli agree with the first; None without any.

    Returns:
        n (pairs) and raters; kappa with quadratic weights (Cohen 1968; the mean squared difference of the pairs over
        that of any first with any second) and Spearman's rho; mean_difference (second minus first) with the test of the
        paper's pilot, Wilcoxon's signed-rank of the pairs (two-sided, zeros by Pratt's method): statistic and p; unit,
        what is a pair. None in place of a figure that is not defined, as kappa if all ratings are the same.
    """
    pairs = retest_pairs(ratings)
    if pairs.empty:
        return None
    first, second = pairs["first"].to_numpy(), pairs["second"].to_numpy()
    both_vary = np.ptp(first) > 0 and np.ptp(second) > 0
    differences = np.round(second - first, 9)  # of fractions, so that equal ones are ties
    by_chance = first.var() + second.var() + (first.mean() - second.mean()) ** 2
    kappa = 1 - (differences**2).mean() / by_chance if by_chance > 0 else None
    statistic, p = 0.0, 1.0  # nothing differs: scipy would divide by 0
    if differences.any():
        statistic, p = stats.wilcoxon(differences, zero_method="pratt")
    return {
        "n": len(pairs),
        "raters": int(pairs["rater"].nunique()),
        "kappa": _number(kappa),
        "spearman": _number(stats.spearmanr(first, second).statistic if both_vary else None),
        "mean_difference": float(differences.mean()),
        "statistic": float(statistic),
        "p": float(p),
        "unit": "rating",
    }


def reliability(ratings: pd.DataFrame, seed: int = 0) -> dict[str, Any]:
    """All of the above over the main stimuli of all data sets, as `analyze.py --json` has it.

    None in place of a figure that the ratings do not tell, as any agreement with one rater. missing: how many of
    stimuli x raters ratings there are not; every figure is of those that there are.
    """
    scores, raters = stimulus_scores(ratings)
    agreement = icc(scores, seed)
    return {
        "icc2_1": _number(agreement.icc2_1),
        "icc2_1_ci": [_number(end) for end in agreement.icc2_1_ci],
        "icc2_k": _number(agreement.icc2_k),
        "icc2_k_ci": [_number(end) for end in agreement.icc2_k_ci],
        "icc_interval": agreement.interval,
        "krippendorff_ordinal": _number(krippendorff_alpha(scores, "ordinal")),
        "krippendorff_interval": _number(krippendorff_alpha(scores, "interval")),
        "sos_a": _number(sos_a(scores)),
        "retest": retest(ratings),
        "stimuli": len(scores),
        "raters": len(raters),
        "missing": int(np.isnan(scores).sum()),
    }


def _share(found: Components) -> Any:
    total = found.stimuli + found.raters + found.residual
    return found.stimuli / np.where(total > 0, total, np.nan)


def _of_mean(single: np.ndarray, k: float) -> np.ndarray:
    """From one rating to the mean of k (Spearman 1910, Brown 1910), for estimates and ends of intervals alike.

    NaN at -1 / (k - 1) or below, where the mean of k would have no variance.
    """
    variance = 1 + (k - 1) * single
    return k * single / np.where(variance > 0, variance, np.nan)


def _mcgraw_wong(found: Components, single: float, n: int, k: int) -> tuple[float, float]:
    """The ends for ICC(A,1) in McGraw and Wong (1996), Table 7; their k raters, n stimuli."""
    error = found.residual
    rows, columns = k * found.stimuli + error, n * found.raters + error
    if math.isclose(error, 0, abs_tol=1e-12) and math.isclose(columns, 0, abs_tol=1e-12):
        return 1.0, 1.0  # no rater differs from another anywhere
    a, b = k * single / (n * (1 - single)), 1 + k * single * (n - 1) / (n * (1 - single))
    degrees = (a * columns + b * error) ** 2 / ((a * columns) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1)))
    level = (1 + CONFIDENCE) / 2
    lower, upper = stats.f.ppf(level, n - 1, degrees), stats.f.ppf(level, degrees, n - 1)
    between = k * columns + (k * n - k - n) * error
    return (
        n * (rows - lower * error) / (lower * between + n * rows),
        n * (upper * rows - error) / (between + n * upper * rows),
    )


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
