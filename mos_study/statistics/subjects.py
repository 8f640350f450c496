"""What a rater adds to the scores: a bias and an inconsistency, and scores without the bias."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mos_study.statistics.cube import score_cubes

# The limits of the reference code of ITU-T P.910 Annex E.
MAX_ITERATIONS = 1000
CONVERGED = 1e-8  # length of the last step of all qualities together
LEAST_VARIANCE = 1e-8  # added to a rater's variance, so that one without any has a finite weight


@dataclass(frozen=True)
class SubjectModel:
    """score = quality of the stimulus + bias of the rater + inconsistency of the rater * noise.

    One number per stimulus (quality) or rater (the others); NaN where the ratings do not tell it. The biases have the
    mean 0.
    """

    quality: np.ndarray
    quality_se: np.ndarray
    bias: np.ndarray
    bias_se: np.ndarray
    inconsistency: np.ndarray
    inconsistency_se: np.ndarray
    converged: bool


@dataclass(frozen=True)
class BiasRemoval:
    """bias: per rater. scores: the matrix without it. mos: mean of these per stimulus. NaN where nothing is rated."""

    bias: np.ndarray
    scores: np.ndarray
    mos: np.ndarray


def alternating_projection(scores: np.ndarray) -> SubjectModel:
    """Qualities, biases and inconsistencies by alternating projection: ITU-T P.910 Annex E.

    The method is of Li, Bampis, Janowski and Katsavounidis (2020), "A simple model for subject behavior in subjective
    experiments"; ITU-T P.913 (2021) has it in clause 12.6. A quality is the mean of the scores without biases, each
    rater weighted by the inverse of his or her variance. Standard errors: of a quality, the spread of its residuals
    over the root of their number; of a rater's n ratings, inconsistency / sqrt(n) (bias) and inconsistency / sqrt(2 n)
    (inconsistency), from the curvature of the likelihood.

    With a handful of ratings per rater a bias can follow them all; the likelihood then has no maximum, a variance goes
    to nothing and the projection does not converge.

    One rating has no spread around its own bias. Such a rater gets the variance of all raters together as weight (the
    standard's would be infinite) and no inconsistency.

    Args:
        scores: a row per stimulus, a column per rater, NaN where not rated.
    """
    stimuli, raters = ~np.isnan(scores).all(axis=1), ~np.isnan(scores).all(axis=0)
    known = scores[np.ix_(stimuli, raters)]
    rated = (~np.isnan(known)).astype(float)
    known = np.nan_to_num(known)
    of_stimulus, of_rater = rated.sum(axis=1), rated.sum(axis=0)

    quality = known.sum(axis=1) / of_stimulus
    iterations, step = 0, np.inf
    while step >= CONVERGED and iterations < MAX_ITERATIONS and known.size:
        bias = (known.sum(axis=0) - quality @ rated) / of_rater
        residuals = known - rated * (quality[:, None] + bias)
        squares = np.einsum("sr,sr->r", residuals, residuals)
        variance = np.where(of_rater > 1, squares / of_rater, squares.sum() / of_rater.sum())
        weights = 1 / (variance + LEAST_VARIANCE)
        improved = (known @ weights - rated @ (bias * weights)) / (rated @ weights)
        step = np.linalg.norm(improved - quality)
        quality, iterations = improved, iterations + 1
    if not iterations:
        return _empty_model(*scores.shape)

    bias = (known.sum(axis=0) - quality @ rated) / of_rater
    spread = residuals - rated * (residuals.sum(axis=1) / of_stimulus)[:, None]
    quality_se = np.sqrt(np.einsum("sr,sr->s", spread, spread)) / of_stimulus
    inconsistency = np.where(of_rater > 1, np.sqrt(variance), np.nan)
    return SubjectModel(
        quality=_placed(quality + bias.mean(), stimuli),
        quality_se=_placed(np.where(of_stimulus > 1, quality_se, np.nan), stimuli),
        bias=_placed(bias - bias.mean(), raters),
        bias_se=_placed(inconsistency / np.sqrt(of_rater), raters),
        inconsistency=_placed(inconsistency, raters),
        inconsistency_se=_placed(inconsistency / np.sqrt(2 * of_rater), raters),
        converged=bool(step < CONVERGED),
    )


def bias_removal(scores: np.ndarray) -> BiasRemoval:
    """Scores without the raters' biases: ITU-T P.913 (2021), clause 12.4.

    A rater's bias is the mean, over the stimuli that he or she has rated, of the score minus the stimulus's mean score.

    Args:
        scores: a row per stimulus, a column per rater, NaN where not rated.
    """
    bias = _mean(scores - _mean(scores, axis=1)[:, None], axis=0)
    unbiased = scores - bias
    return BiasRemoval(bias, unbiased, _mean(unbiased, axis=1))


def stimulus_scores(ratings: pd.DataFrame) -> tuple[np.ndarray, tuple[str, ...]]:
    """The main part of all data sets as one matrix (a row per stimulus, a column per rater), and the raters."""
    cubes = score_cubes(ratings)
    raters = tuple(sorted({rater for cube in cubes for rater in cube.raters}))
    scores = np.full((sum(len(cube.methods) * len(cube.images) for cube in cubes), len(raters)), np.nan)
    first = 0
    for cube in cubes:
        rows = cube.stimuli()
        scores[first : first + len(rows), np.searchsorted(raters, cube.raters)] = rows
        first += len(rows)
    rated = ~np.isnan(scores).all(axis=1)  # a data set need not have every method of every image
    return scores[rated], raters


def rater_table(ratings: pd.DataFrame) -> pd.DataFrame:
    """How each rater has used the scale, over the main part of all data sets together.

    Returns:
        A row per rater, sorted by name: rater, n (ratings), mean (of the scores), and of `alternating_projection`
        bias, bias_se, inconsistency, inconsistency_se, which are NaN if it does not converge.
    """
    scores, raters = stimulus_scores(ratings)
    model = alternating_projection(scores)
    table = pd.DataFrame(
        {"rater": pd.Series(raters, dtype=str), "n": (~np.isnan(scores)).sum(axis=0), "mean": _mean(scores, axis=0)}
    )
    of_model = ("bias", "bias_se", "inconsistency", "inconsistency_se")
    return table.assign(**{name: getattr(model, name) if model.converged else np.nan for name in of_model})


def remove_bias(ratings: pd.DataFrame) -> pd.DataFrame:
    """A copy whose scores are without the biases of `bias_removal`.

    The biases are those of the main part, over all data sets; every rating of the rater is shifted by it, also in the
    other phases. Who has rated nothing of the main part is left as is. Scores become fractions and may leave 1 to 5.
    """
    scores, raters = stimulus_scores(ratings)
    biases = dict(zip(raters, bias_removal(scores).bias, strict=True))
    names = ratings["rater"].unique()
    bias = ratings["rater"].map({name: biases.get(str(name), 0.0) for name in names}).astype(float)
    return ratings.assign(score=ratings["score"].astype(float) - bias)


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """The mean without NaN; NaN where there is nothing else, without numpy's warning."""
    known = (~np.isnan(values)).sum(axis=axis)
    return np.nansum(values, axis=axis) / np.where(known, known, np.nan)


def _placed(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    placed = np.full(len(places), np.nan)
    placed[places] = values
    return placed


def _empty_model(stimuli: int, raters: int) -> SubjectModel:
    of_stimulus, of_rater = np.full(stimuli, np.nan), np.full(raters, np.nan)
    return SubjectModel(of_stimulus, of_stimulus, of_rater, of_rater, of_rater, of_rater, True)
