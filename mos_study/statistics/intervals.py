"""Intervals of a mean opinion score: each says what it generalises over.

All of them take scores as an array (..., raters, images) with NaN where a rater has not rated an image, and return the
lower and the upper ends, arrays of shape (...), NaN where there is no interval. Leading axes are separate studies.
"""

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 1000
CHUNK_NUMBERS = 4_000_000  # in a temporary array of the bootstrap: 32 MB of float64

Interval = tuple[np.ndarray, np.ndarray]


def mean_opinion(values: np.ndarray) -> np.ndarray:
    """The mean of the raters' means, each over the images the rater has rated; shape (...), NaN without a rating.

    One who has rated more does not count more. Where all have rated equally many, it is the mean of all ratings.
    """
    means, rated = _raters_means(values)
    return _ratio(means.sum(-1), rated.sum(-1))


def raters_interval(values: np.ndarray, confidence: float = CONFIDENCE) -> Interval:
    """Over raters: where the score of these images would lie with all raters of this kind.

    Student's t over the raters' means (R raters, R - 1 degrees of freedom; Student 1908). Raters are independent of
    each other; the ratings of one are not, nor are those of one image, which stays as it is here.
    """
    means, rated = _raters_means(values)
    raters = rated.sum(-1)
    mos = _ratio(means.sum(-1), raters)
    squares = (np.where(rated, means - mos[..., None], 0) ** 2).sum(-1)
    variance = _ratio(squares, (raters - 1) * raters)
    return _around(mos, variance, raters - 1, confidence)


def raters_images_interval(values: np.ndarray, confidence: float = CONFIDENCE) -> Interval:
    """Over raters and images: where the score would lie with all raters and all images of this kind.

    Scores are modelled as mean + rater + image + residual, all but the mean random (crossed two-way random effects
    without interaction). The variances of the three come from their sums of squares by the method of moments, which
    allows missing ratings (Henderson 1953, method 1; Searle, Casella & McCulloch 1992, chapter 5); a negative one
    becomes zero. Under them the interval has the variance of `mean_opinion` itself, and degrees of freedom by
    Satterthwaite (1946), at least min(R, I) - 1. Where R raters have rated all of I images, the variance is
    (MSR + MSC - MSE) / (R I) with the mean squares of raters, images and residuals.

    There is no interval with fewer than two raters or images, or with too few ratings to tell the three variances apart
    (R + I - 1 or fewer).
    """
    rated = ~np.isnan(values)
    of_rater, of_image = rated.sum(-1), rated.sum(-2)
    raters, images = (of_rater > 0).sum(-1), (of_image > 0).sum(-1)
    n = of_rater.sum(-1)
    left = n - raters - images + 1
    enough = (raters > 1) & (images > 1) & (left > 0)

    rater_variance, image_variance, residual_variance = _variance_components(values, enough)
    # mean_opinion weighs a rating by 1 / (raters * ratings of its rater).
    weights = _ratio(rated, (of_rater * raters[..., None])[..., None], empty=0)
    of_residuals = residual_variance * (weights**2).sum((-1, -2))
    image_weights = (weights.sum(-2) ** 2).sum(-1)
    of_raters = _ratio(rater_variance, raters) + of_residuals
    of_images = image_variance * image_weights + of_residuals
    variance = of_raters + of_images - of_residuals
    spread = _ratio(of_raters**2, raters - 1) + _ratio(of_images**2, images - 1) + _ratio(of_residuals**2, left)
    # With few ratings beyond R + I the subtracted residuals drag the formula below one degree, and intervals become
    # absurd. A sum of the independent two never has fewer degrees than the one with the fewest.
    fewest = np.minimum(raters, images) - 1
    degrees = np.fmax(_ratio(variance**2, spread), fewest)
    return _around(mean_opinion(values), variance, np.where(enough, degrees, 0), confidence)


def iid_interval(values: np.ndarray, confidence: float = CONFIDENCE) -> Interval:
    """As if all ratings were independent: 1.96 * standard deviation / sqrt(ratings), around the mean opinion.

    They are not independent, so it is far too narrow: it contains the score of all raters and images in fewer than 60 %
    of simulated studies of 26 raters (tests/test_intervals.py). It serves comparison with papers that use it.
    """
    rated = ~np.isnan(values)
    n = rated.sum((-1, -2))
    mean = _ratio(np.where(rated, values, 0).sum((-1, -2)), n)
    squares = (np.where(rated, values - mean[..., None, None], 0) ** 2).sum((-1, -2))
    variance = _ratio(squares, (n - 1) * n)
    return _around(mean_opinion(values), variance, np.where(n > 1, np.inf, 0), confidence)


def bootstrap_interval(
    values: np.ndarray, seed: int = 0, resamples: int = RESAMPLES, confidence: float = CONFIDENCE
) -> Interval:
    """Over raters and images, of `mean_opinion`: percentiles of a two-way bootstrap.

    Raters and images are drawn anew independently of each other ("pigeonhole bootstrap"; Owen 2007). Its
    variance is somewhat too large rather than too small (it holds three times the residuals' share), but percentiles of
    few images are too narrow: with a handful, `raters_images_interval` is the better one.
    """
    rng = np.random.default_rng(seed)
    rater_counts = multiplicities(values.shape[-2], resamples, rng)
    image_counts = multiplicities(values.shape[-1], resamples, rng)
    rated = ~np.isnan(values)
    scores = np.where(rated, values, 0)
    draws = np.empty((*values.shape[:-2], resamples))
    chunk = max(1, CHUNK_NUMBERS // max(1, int(np.prod(values.shape[:-1]))))
    for start in range(0, resamples, chunk):
        part = slice(start, start + chunk)
        shown = rated @ image_counts[part].T  # (..., raters, resamples)
        weights = np.where(shown > 0, rater_counts[part].T, 0)
        means = _ratio(scores @ image_counts[part].T, shown, empty=0)
        draws[..., part] = _ratio((means * weights).sum(-2), weights.sum(-2))
    return percentile_interval(draws, two_way(rated), confidence)


def multiplicities(n: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of n units is in each bootstrap resample of n: float64 (resamples, n), ready for matmul."""
    return rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)


def two_way(rated: np.ndarray) -> np.ndarray:
    """Where there are two raters and two images or more, so that both can be resampled; bool of shape (...)."""
    return (rated.any(-1).sum(-1) > 1) & (rated.any(-2).sum(-1) > 1)


def percentile_interval(draws: np.ndarray, enough: np.ndarray, confidence: float = CONFIDENCE) -> Interval:
    """The middle of bootstrap draws (..., resamples), NaN unless `enough`; draws that are NaN are left out."""
    tail = (1 - confidence) / 2
    known = np.where(enough[..., None], draws, 0)
    low, high = np.nanquantile(known, (tail, 1 - tail), axis=-1)
    return np.where(enough, low, np.nan)[()], np.where(enough, high, np.nan)[()]  # numbers for a single study


def _raters_means(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each rater's mean, zero without a rating, and whether there is one."""
    rated = ~np.isnan(values)
    counts = rated.sum(-1)
    return _ratio(np.where(rated, values, 0).sum(-1), counts, empty=0), counts > 0


def _variance_components(values: np.ndarray, enough: np.ndarray) -> np.ndarray:
    """The variances of raters, images and residuals, stacked, none below zero; Henderson's method 1."""
    rated = ~np.isnan(values)
    of_rater, of_image = rated.sum(-1), rated.sum(-2)
    n = rated.sum((-1, -2)).astype(float)
    raters, images = (of_rater > 0).sum(-1), (of_image > 0).sum(-1)
    mean = _ratio(np.where(rated, values, 0).sum((-1, -2)), n)
    centred = np.where(rated, values - mean[..., None, None], 0)
    all_squares = (centred**2).sum((-1, -2))
    rater_squares = _ratio(centred.sum(-1) ** 2, of_rater, empty=0).sum(-1)
    image_squares = _ratio(centred.sum(-2) ** 2, of_image, empty=0).sum(-1)
    squares = np.stack([rater_squares, image_squares, all_squares - rater_squares - image_squares], axis=-1)

    # Each sum of squares is expected to be a sum of the three variances, times these.
    rater_load, image_load = _ratio((of_rater**2).sum(-1), n), _ratio((of_image**2).sum(-1), n)
    expected = np.stack(
        [
            np.stack([n - rater_load, raters - image_load, raters - 1.0], axis=-1),
            np.stack([images - rater_load, n - image_load, images - 1.0], axis=-1),
            np.stack([rater_load - images, image_load - raters, n - raters - images + 1], axis=-1),
        ],
        axis=-2,
    )
    solvable = enough[..., None, None]
    found = np.linalg.solve(np.where(solvable, expected, np.eye(3)), np.where(solvable, squares[..., None], 0))
    return np.moveaxis(np.maximum(found[..., 0], 0), -1, 0)


def _around(centre: np.ndarray, variance: np.ndarray, degrees: np.ndarray, confidence: float) -> Interval:
    """Student's t interval; NaN without a degree of freedom."""
    quantile = stats.t.ppf((1 + confidence) / 2, np.where(degrees > 0, degrees, np.nan))
    half = quantile * np.sqrt(variance)
    return centre - half, centre + half


def _ratio(above: np.ndarray, below: np.ndarray, empty: float = np.nan) -> np.ndarray:
    """above / below, and `empty` where there is nothing to divide by."""
    above, below = np.broadcast_arrays(np.asarray(above, float), below)
    return np.divide(above, below, out=np.full(above.shape, empty, float), where=below > 0)
