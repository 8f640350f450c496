"""Intervals of mean opinion scores: by hand, and by how often they contain the truth."""

import math

import numpy as np
import pytest
from scipy import stats

from mos_study.statistics.intervals import (
    bootstrap_interval,
    iid_interval,
    mean_opinion,
    multiplicities,
    raters_images_interval,
    raters_interval,
)

NAN = math.nan
EVERY = (raters_interval, raters_images_interval, bootstrap_interval, iid_interval)
STUDIES = 1000
RATERS = 26
RATER_SD, IMAGE_SD, RESIDUAL_SD = 0.4, 0.5, 0.7


def test_the_mean_is_of_raters_not_of_ratings():
    assert mean_opinion(np.array([[2, 4], [5, NAN], [NAN, NAN]])) == 4
    assert np.isnan(mean_opinion(np.full((2, 3), NAN)))


def test_intervals_by_hand():
    """Raters in rows. Mean squares: raters 3 / 2, images 1.5 / 1, residuals 1 / 2; of all ratings 5.5 / 5."""
    values = np.array([[1.0, 3], [2, 2], [3, 4]])
    assert mean_opinion(values) == 2.5

    def half(interval) -> float:
        low, high = interval
        assert low + high == pytest.approx(5)
        return (high - low) / 2

    assert half(raters_interval(values)) == pytest.approx(4.3026527 * math.sqrt(1.5 / 6))  # Student's t of 2 degrees
    assert half(iid_interval(values)) == pytest.approx(1.959964 * math.sqrt(1.1 / 6))
    degrees = 2.5**2 / (1.5**2 / 2 + 1.5**2 / 1 + 0.5**2 / 2)
    expected = stats.t.ppf(0.975, degrees) * math.sqrt((1.5 + 1.5 - 0.5) / 6)
    assert half(raters_images_interval(values)) == pytest.approx(expected)
    expected = stats.t.ppf(0.95, degrees) * math.sqrt((1.5 + 1.5 - 0.5) / 6)
    assert half(raters_images_interval(values, confidence=0.9)) == pytest.approx(expected)


def test_variances_below_zero_and_degrees_below_one_do_not_count():
    """No spread between raters or images, mean square of residuals 4: variance 4 / 4, and t of one degree."""
    low, high = raters_images_interval(np.array([[1.0, 3], [3, 1]]))
    assert (low, high) == (pytest.approx(2 - 12.7062047), pytest.approx(2 + 12.7062047))


def test_missing_ratings_against_the_matrices_of_the_model():
    """Henderson's first method as textbooks have it: projections on raters and on images, traces as expectations."""
    rng = np.random.default_rng(1)
    values = np.rint(3 + rng.normal(0, 1, (6, 1)) + rng.normal(0, 1, 5) + rng.normal(0, 0.5, (6, 5)))
    values[rng.random(values.shape) < 0.3] = NAN
    rater, image = np.nonzero(~np.isnan(values))
    scores, n = values[rater, image], len(rater)
    of_rater, of_image, all_in_one = np.eye(6)[rater], np.eye(5)[image], np.ones((n, 1))
    on_raters, on_images, on_mean = (z @ np.linalg.pinv(z) for z in (of_rater, of_image, all_in_one))
    forms = (on_raters - on_mean, on_images - on_mean, np.eye(n) - on_raters - on_images + on_mean)
    covariances = (of_rater @ of_rater.T, of_image @ of_image.T, np.eye(n))
    expected = [[np.trace(form @ covariance) for covariance in covariances] for form in forms]
    components = np.linalg.solve(expected, [scores @ form @ scores for form in forms])
    assert components.min() > 0  # none is truncated here

    weights = 1 / (6 * of_rater.sum(axis=0)[rater])
    raters, images, residuals = (c * weights @ v @ weights for c, v in zip(components, covariances, strict=True))
    variance = raters + images + residuals
    spread = (raters + residuals) ** 2 / 5 + (images + residuals) ** 2 / 4 + residuals**2 / (n - 6 - 5 + 1)
    half = stats.t.ppf(0.975, variance**2 / spread) * math.sqrt(variance)
    mean = weights @ scores
    assert raters_images_interval(values) == (pytest.approx(mean - half), pytest.approx(mean + half))


@pytest.mark.parametrize("interval", EVERY)
@pytest.mark.filterwarnings("error")
def test_unanimous_ratings_leave_no_doubt(interval):
    values = np.full((4, 3), 5.0)
    values[1, 2] = NAN
    assert interval(values) == (5, 5)


@pytest.mark.filterwarnings("error")
def test_no_interval_where_nothing_tells_it():
    one_rater = np.array([[1.0, 2, 4]])
    one_image = one_rater.T
    apart = np.array([[1.0, 2, NAN], [NAN, NAN, 4]])
    nothing = np.full((2, 2), NAN)
    there = {
        interval.__name__: [bool(np.isfinite(interval(case)).all()) for case in (one_rater, one_image, apart, nothing)]
        for interval in EVERY
    }
    assert there == {
        "raters_interval": [False, True, True, False],
        "raters_images_interval": [False, False, False, False],
        "bootstrap_interval": [False, False, True, False],
        "iid_interval": [True, True, True, False],
    }


@pytest.mark.parametrize("interval", EVERY)
def test_leading_axes_are_studies_of_their_own(interval):
    values = np.random.default_rng(0).integers(1, 6, (2, 3, 5, 4)).astype(float)
    values[0, :, 1, 2] = NAN
    low, high = interval(values)
    assert low.shape == high.shape == (2, 3)
    for study in np.ndindex(2, 3):
        assert (low[study], high[study]) == pytest.approx(interval(values[study]))


def test_resamples_hold_as_many_units_as_there_are():
    counts = multiplicities(20, 5000, np.random.default_rng(0))
    assert counts.shape == (5000, 20)
    assert np.unique(counts.sum(axis=1)).tolist() == [20]
    assert counts.mean(axis=0) == pytest.approx(np.ones(20), abs=0.06)
    assert counts.var() == pytest.approx(0.95, abs=0.02)


def test_the_bootstrap_draws_raters_and_images_anew():
    """Against resamples put together rating by rating."""
    rng = np.random.default_rng(0)
    values = rng.integers(1, 6, (9, 7)).astype(float)
    values[rng.random(values.shape) < 0.3] = NAN
    raters, images = rng.integers(9, size=(20000, 9, 1)), rng.integers(7, size=(20000, 1, 7))
    ends = np.nanquantile(mean_opinion(values[raters, images]), (0.025, 0.975))
    assert bootstrap_interval(values, resamples=20000) == pytest.approx(tuple(ends), abs=0.03)
    assert (
        bootstrap_interval(values, seed=4) == bootstrap_interval(values, seed=4) != bootstrap_interval(values, seed=5)
    )


@pytest.mark.parametrize("missing", ["none", "share", "random"])
@pytest.mark.parametrize("mean", [1.5, 3])
@pytest.mark.parametrize("images", [5, 14, 100])
def test_intervals_contain_what_they_speak_of(images, mean, missing):
    """In 91.5 to 98 % of studies: the score of these images and all raters; the score of all images and all raters."""
    values, these_images, all_images = simulated_studies(images, mean, missing)
    assert 0.915 <= coverage(raters_interval(values), these_images) <= 0.98
    assert 0.915 <= coverage(raters_images_interval(values), all_images) <= 0.98


@pytest.mark.parametrize("mean", [1.5, 3])
@pytest.mark.parametrize("images", [5, 14, 100])
def test_ratings_taken_for_independent_miss_the_truth(images, mean):
    values, _, all_images = simulated_studies(images, mean, "none")
    assert coverage(iid_interval(values), all_images) < 0.6


def test_the_bootstrap_needs_more_than_a_handful_of_images():
    few, _, truth = simulated_studies(5, 3, "none")
    assert coverage(bootstrap_interval(few, resamples=300), truth) < 0.915
    more, _, truth = simulated_studies(14, 3, "none")
    assert 0.915 <= coverage(bootstrap_interval(more, resamples=300), truth) <= 0.98


def simulated_studies(images: int, mean: float, missing: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Scores (studies, raters, images), and what they estimate: of each study's images, and of all images.

    missing: `share`, half of the images for each rater, or `random`, each rating with a probability of a half.
    """
    rng = np.random.default_rng(images)
    size = (STUDIES, RATERS, images)
    image_means = mean + rng.normal(0, IMAGE_SD, (STUDIES, 1, images))
    latent = image_means + rng.normal(0, RATER_SD, (STUDIES, RATERS, 1)) + rng.normal(0, RESIDUAL_SD, size)
    values = np.clip(np.rint(latent), 1, 5)
    if missing == "share":
        values[rng.random(size).argsort(axis=-1) >= math.ceil(images / 2)] = NAN
    elif missing == "random":
        values[rng.random(size) < 0.5] = NAN
    these_images = expected_score(image_means, math.hypot(RATER_SD, RESIDUAL_SD)).mean(axis=(1, 2))
    return values, these_images, float(expected_score(mean, math.hypot(RATER_SD, IMAGE_SD, RESIDUAL_SD)))


def expected_score(mean: float | np.ndarray, sd: float) -> np.ndarray:
    """Of a normal latent value, rounded and clipped to 1 to 5: 1, and 1 more for every bound it is above."""
    return 1 + sum(stats.norm.sf(bound, mean, sd) for bound in (1.5, 2.5, 3.5, 4.5))


def coverage(interval: tuple[np.ndarray, np.ndarray], truth: float | np.ndarray) -> float:
    low, high = interval
    return float(np.mean((low <= truth) & (truth <= high)))
