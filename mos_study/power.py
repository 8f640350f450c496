"""How many raters and images a study needs, by simulating it many times."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.proportion import proportion_confint
from tqdm import tqdm

from mos_study.artificial import HIGHEST, LOWEST, Spreads, draw_effects, draw_raters, draw_scores, latent_mean
from mos_study.paper import ALPHA, PAPER_MOS
from mos_study.statistics.pairs import UNITS
from sr.errors import SRError

RATERS = (3, 4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 23, 26, 30, 35, 40, 50, 60)
IMAGES = (5, 14, 30, 60, 100)
CONFIDENCE = 0.95  # of the simulation's own interval (Wilson's)
EXACT_UP_TO = 13  # differences; as in scipy, where all signs of more are too many
STUDIES_AT_ONCE = 50  # keeps 60 raters x 100 images below 20 MB
MIDDLE = (LOWEST + HIGHEST) / 2
_UNIT_WORDS = {
    "rating": "every rating counted as independent",
    "image": "images counted as independent, raters averaged",
    "rater": "raters counted as independent, images averaged",
}


class Found(NamedTuple):
    """How many of the simulated studies found a difference: the better method where there is one, any where none is."""

    better: int
    none: int


def power_curve(
    effect: float,
    worse: float,
    raters: Sequence[int] = RATERS,
    images: Sequence[int] = IMAGES,
    studies: int = 400,
    unit: str = "rating",
    seed: int = 0,
    spreads: Spreads | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """How often the Wilcoxon signed-rank test tells two methods apart whose true means differ by `effect`.

    Images and raters are drawn anew for each study (`mos_study.artificial`): true means are those over all images and
    all raters of the kind. The test is that of the pair table (two-sided, zeros by Pratt's method, all rated by all); a
    study tells the methods apart if p < ALPHA and the better one comes out better. The same studies hold a third method
    that is as good as the worse one: how often p < ALPHA between these two is the rate of false positives. It is above
    ALPHA for a unit that takes for independent what shares an image's effects or a rater: such a test speaks of these
    images (or raters) alone.

    Smaller studies are parts of the largest, so their errors go together and the curves are smooth.

    Args:
        worse: the worse method's true mean.
        unit: what is paired, see `UNITS`: ratings, images' means over raters, or raters' means over images.

    Returns:
        A row per number of raters and of images: raters, images, unit, power, low, high (Wilson's interval of the
        power at CONFIDENCE), false_positives.

    Raises:
        SRError: an impossible effect, unknown unit, or numbers below 1.
    """
    if unit not in UNITS:
        raise SRError(f"The unit {unit!r} is unknown: expected one of {', '.join(UNITS)}")
    if effect <= 0 or not LOWEST <= worse < worse + effect <= HIGHEST:
        raise SRError(
            f"True means of {worse:g} and {worse + effect:g} cannot be told apart:"
            f" the effect must be above 0 and both between {LOWEST} and {HIGHEST}"
        )
    if min(studies, *raters, *images) < 1:
        raise SRError("Studies, raters and images must each be 1 or more")
    spreads = spreads or Spreads()
    latent = np.array([latent_mean(mean, spreads) for mean in (worse + effect, worse, worse)])
    cells = [(r, i) for i in sorted(set(images)) for r in sorted(set(raters))]
    found = dict.fromkeys(cells, Found(0, 0))
    rng = np.random.default_rng(seed)
    with tqdm(total=studies, desc="simulating", unit="study", leave=False, disable=not progress) as bar:
        for start in range(0, studies, STUDIES_AT_ONCE):
            at_once = min(STUDIES_AT_ONCE, studies - start)
            effects = draw_effects(rng, (at_once, len(latent), max(images)), spreads)
            people = draw_raters(rng, (at_once, max(raters)), spreads)
            scores = draw_scores(rng, latent[:, None] + effects, people)
            better, equal = scores[:, 0] - scores[:, 2], scores[:, 1] - scores[:, 2]
            for r, i in cells:
                found[r, i] = Found(
                    found[r, i].better + _significant(better[:, :r, :i], unit, positive=True),
                    found[r, i].none + _significant(equal[:, :r, :i], unit),
                )
            bar.update(at_once)
    return pd.DataFrame(
        [_row(r, i, unit, found[r, i], studies) for r, i in cells],
        columns=["raters", "images", "unit", "power", "low", "high", "false_positives"],
    )


def power_table(
    effect: float = 0.2,
    a: str = "srgan",
    b: str = "srresnet",
    target: float = 0.8,
    studies: int = 400,
    unit: str = "rating",
    seed: int = 0,
    progress: bool = True,
) -> tuple[pd.DataFrame, str]:
    """`power_curve` where `a` is better than `b` by `effect`, and what follows from it in words.

    b's true mean is its mean over the paper's data sets, or the middle of the scale if the paper does not have it.
    """
    if not 0 < target < 1:
        raise SRError(f"The target power is {target:g}, but must be between 0 and 1")
    in_paper = [means[b] for means in PAPER_MOS.values() if b in means]
    worse = float(np.mean(in_paper)) if in_paper else MIDDLE
    spreads = Spreads()
    table = power_curve(effect, worse, studies=studies, unit=unit, seed=seed, spreads=spreads, progress=progress)
    head = (
        f"To tell {a} from {b} ({worse:.2f}) by {effect:g} at p < {ALPHA} with {target:.0%} power"
        f" (paired Wilcoxon test, unit {unit}; {studies} simulated studies at each size,"
        f" sd of biases {spreads.bias:g}, of a rater's noise {spreads.inconsistency:g}, of images {spreads.image:g} and"
        f" of images with a method {spreads.stimulus:g}; {CONFIDENCE:.0%} interval of the power in brackets):"
    )
    return table, f"{head} {'; '.join(_needed(table, target))}. {_false_positives(table, studies)}"


def smallest(table: pd.DataFrame, target: float) -> pd.DataFrame:
    """The rows of `power_curve` with the fewest raters from which on the power reaches `target`, by images."""
    ordered = table.sort_values(["images", "raters"])
    # From the largest study down, as long as the target is reached: one lucky small study does not count.
    reached = (ordered["power"] >= target)[::-1].groupby(ordered["images"]).cummin()[::-1]
    return ordered[reached].groupby("images").head(1)


def _needed(table: pd.DataFrame, target: float) -> list[str]:
    rows = smallest(table, target).set_index("images")
    words = []
    for images, cells in table.groupby("images"):
        if images in rows.index:
            row = rows.loc[images]
            words.append(
                f"with {images} images {row['raters']} raters"
                f" ({row['power']:.0%} [{row['low']:.0%}, {row['high']:.0%}])"
            )
        else:
            most = cells.loc[cells["raters"].idxmax()]
            words.append(
                f"with {images} images not even {most['raters']} raters are enough"
                f" ({most['power']:.0%} [{most['low']:.0%}, {most['high']:.0%}])"
            )
    return words


def _false_positives(table: pd.DataFrame, studies: int) -> str:
    rate, unit = table["false_positives"], table["unit"].iloc[0]
    seen = f"Between two equally good methods the test finds a difference in {rate.min():.0%} to {rate.max():.0%}"
    counted = f"of the studies ({_UNIT_WORDS[unit]})"
    worst = table.loc[rate.idxmax()]
    # The worst of many sizes is above ALPHA by chance alone, so each gets its share of the risk (Bonferroni).
    risk = (1 - CONFIDENCE) / len(table)
    if stats.binomtest(round(rate.max() * studies), studies, ALPHA, "greater").pvalue > risk:
        return f"{seen} {counted}; {ALPHA:.0%} are meant."
    return (
        f"{seen} {counted}, where {ALPHA:.0%} are meant, most often with {worst['raters']} raters and"
        f" {worst['images']} images: its verdicts hold for the images shown, and less surely for others."
    )


def _significant(differences: np.ndarray, unit: str, positive: bool = False) -> int:
    """In how many studies p < ALPHA; `positive`: and the first method is the better one.

    differences: whole numbers of shape (studies, raters, images).
    """
    # Sums in place of means: the test goes by ranks, and whole numbers tie exactly.
    if unit == "rating":
        values = differences.reshape(len(differences), -1)
    else:
        values = differences.sum(axis=1 if unit == "image" else 2, dtype=np.int64)
    significant = wilcoxon_p(values) < ALPHA
    return int((significant & (values.sum(axis=1) > 0) if positive else significant).sum())


def wilcoxon_p(differences: np.ndarray) -> np.ndarray:
    """The p values of `scipy.stats.wilcoxon(row, zero_method="pratt")` for each row of whole numbers.

    For few differences scipy goes through all signs, one row at a time and slowly; here all rows share the signs.
    Between 14 and 50, where scipy has an exact p for rows without ties, all rows get the normal approximation.
    """
    n = differences.shape[1]
    if n > EXACT_UP_TO:
        with np.errstate(divide="ignore", invalid="ignore"):  # a row of zeros
            p = stats.wilcoxon(differences.astype(float), zero_method="pratt", method="asymptotic", axis=1).pvalue
        return np.where(np.isnan(p), 1.0, p)
    ranks = stats.rankdata(np.abs(differences), axis=1) * (differences != 0)
    signs = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    sums = ranks @ signs.T  # multiples of a half, so exact
    observed = (ranks * (differences > 0)).sum(axis=1)[:, None]
    return np.minimum(1, 2 * np.minimum((sums <= observed).mean(axis=1), (sums >= observed).mean(axis=1)))


def _row(raters: int, images: int, unit: str, found: Found, studies: int) -> tuple:
    low, high = proportion_confint(found.better, studies, 1 - CONFIDENCE, method="wilson")
    return raters, images, unit, found.better / studies, low, high, found.none / studies
