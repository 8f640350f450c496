"""The model of artificial raters: what they would score, with true means that are known.

The latent opinion of a rater on a stimulus is the sum of

- the method's latent mean;
- an effect of the image, shared by the methods, and one of the stimulus (the image with this method);
- the rater's bias, and noise of the rater's own size, the inconsistency, drawn anew at every showing.

This is the model of ITU-T P.910 (2023), Annex E, with the quality of a stimulus put together from method and image. The
score is the latent opinion, rounded, and clipped to the scale.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import gamma, ndtr, roots_genlaguerre

from sr.errors import SRError

LOWEST, HIGHEST = 1, 5
# Inconsistencies follow a gamma distribution, so that none is negative; this shape makes its sd a quarter of its mean.
INCONSISTENCY_SHAPE = 16
QUADRATURE_NODES = 24
_END = 1e-9  # a true mean at an end of the scale is reached to this


@dataclass(frozen=True)
class Spreads:
    """Standard deviations of the model's parts, in grades; of the inconsistency its mean over raters."""

    bias: float = 0.4
    inconsistency: float = 0.7
    image: float = 0.5
    stimulus: float = 0.2

    def __post_init__(self) -> None:
        for name in ("bias", "image", "stimulus"):
            if not 0 <= getattr(self, name) < np.inf:
                raise SRError(f"The spread of {name} effects is {getattr(self, name)}, but must be 0 or more")
        if not 0.01 <= self.inconsistency < np.inf:
            raise SRError(f"The raters' mean inconsistency is {self.inconsistency}, but must be 0.01 or more")


@dataclass(frozen=True)
class Raters:
    """bias, inconsistency: shape (..., raters)."""

    bias: np.ndarray
    inconsistency: np.ndarray


def draw_raters(rng: np.random.Generator, shape: tuple[int, ...], spreads: Spreads) -> Raters:
    scale = spreads.inconsistency / INCONSISTENCY_SHAPE
    return Raters(rng.normal(0, spreads.bias, shape), rng.gamma(INCONSISTENCY_SHAPE, scale, shape))


def draw_effects(rng: np.random.Generator, shape: tuple[int, ...], spreads: Spreads) -> np.ndarray:
    """Effects of images and stimuli, of shape (..., methods, images)."""
    images = rng.normal(0, spreads.image, (*shape[:-2], 1, shape[-1]))
    return images + rng.normal(0, spreads.stimulus, shape)


def latent_mean(true_mean: float, spreads: Spreads, effects: np.ndarray | None = None) -> float:
    """The latent mean with which the expected score is `true_mean`.

    The expectation is over all raters of the kind, and over the images: those with the given `effects` (one number per
    image) or, without, all images of the kind.

    Raises:
        SRError: a true mean outside the scale.
    """
    if not LOWEST <= true_mean <= HIGHEST:
        raise SRError(f"A true mean of {true_mean:g} is impossible: scores are from {LOWEST} to {HIGHEST}")
    if effects is None:
        effects, of_images = np.zeros(1), np.hypot(spreads.image, spreads.stimulus)
    else:
        of_images = 0.0
    target = np.clip(true_mean, LOWEST + _END, HIGHEST - _END)
    # Ten standard deviations beyond the scale, every score is at its end.
    reach = 10 * (spreads.bias + 4 * spreads.inconsistency + of_images) + np.abs(effects).max()

    def excess(latent: float) -> float:
        return expected_score(latent + effects, spreads, of_images).mean() - target

    return brentq(excess, LOWEST - reach, HIGHEST + reach, xtol=1e-12)


def expected_score(opinion: np.ndarray, spreads: Spreads, more_spread: float = 0.0) -> np.ndarray:
    """The mean score of all raters of the kind.

    Args:
        opinion: the latent opinion of a rater without bias.
        more_spread: the standard deviation of what is added to it, independent of the rater.
    """
    inconsistencies, weights = _inconsistencies()
    sd = np.sqrt(spreads.bias**2 + (spreads.inconsistency * inconsistencies) ** 2 + more_spread**2)
    thresholds = np.arange(LOWEST, HIGHEST) + 0.5
    above = ndtr((np.asarray(opinion)[..., None, None] - thresholds[:, None]) / sd)
    return LOWEST + (above.sum(-2) * weights).sum(-1)


def draw_scores(rng: np.random.Generator, opinions: np.ndarray, raters: Raters) -> np.ndarray:
    """One showing of every stimulus to every rater.

    Args:
        opinions: the latent means with the effects added, shape (..., methods, images).

    Returns:
        int8 of shape (..., methods, raters, images).
    """
    shape = (*opinions.shape[:-1], raters.bias.shape[-1], opinions.shape[-1])
    latent = rng.standard_normal(shape, np.float32)
    latent *= raters.inconsistency[..., None, :, None].astype(np.float32)
    latent += raters.bias[..., None, :, None].astype(np.float32)
    latent += opinions[..., :, None, :].astype(np.float32)
    return np.rint(latent).clip(LOWEST, HIGHEST).astype(np.int8)


@cache
def _inconsistencies() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss's quadrature over raters' inconsistencies whose mean is 1."""
    nodes, weights = roots_genlaguerre(QUADRATURE_NODES, INCONSISTENCY_SHAPE - 1)
    return nodes / INCONSISTENCY_SHAPE, weights / gamma(INCONSISTENCY_SHAPE)
