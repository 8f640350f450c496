"""The rating test of the paper (Ledig et al., CVPR 2017): its means, the order of its tables, its findings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import pandas as pd

ALPHA = 0.05  # the paper's level of significance, without a correction for many comparisons

# Mean opinion scores: Table 2, and for the losses Table 1, which leaves out BSD100.
PAPER_MOS: Mapping[str, Mapping[str, float]] = {
    "Set5": {
        "nearest": 1.28,
        "bicubic": 1.97,
        "srcnn": 2.57,
        "selfexsr": 2.65,
        "drcn": 3.26,
        "espcn": 2.89,
        "srresnet": 3.37,
        "srresnet-vgg22": 3.46,
        "srgan-mse": 3.77,
        "srgan-vgg22": 3.78,
        "srgan": 3.58,
        "hr": 4.32,
    },
    "Set14": {
        "nearest": 1.20,
        "bicubic": 1.80,
        "srcnn": 2.26,
        "selfexsr": 2.34,
        "drcn": 2.84,
        "espcn": 2.52,
        "srresnet": 2.98,
        "srresnet-vgg22": 3.15,
        "srgan-mse": 3.43,
        "srgan-vgg22": 3.57,
        "srgan": 3.72,
        "hr": 4.32,
    },
    "BSD100": {
        "nearest": 1.11,
        "bicubic": 1.47,
        "srcnn": 1.87,
        "selfexsr": 1.89,
        "drcn": 2.12,
        "espcn": 2.01,
        "srresnet": 2.29,
        "srgan": 3.56,
        "hr": 4.46,
    },
}

# In the order of the paper's tables; `srgan` is SRGAN-VGG54, `srresnet` SRResNet-MSE.
LABELS: Mapping[str, str] = {
    "nearest": "nearest",
    "bicubic": "bicubic",
    "srcnn": "SRCNN",
    "selfexsr": "SelfExSR",
    "drcn": "DRCN",
    "espcn": "ESPCN",
    "srresnet": "SRResNet",
    "srresnet-vgg22": "SRResNet-VGG22",
    "srgan-mse": "SRGAN-MSE",
    "srgan-vgg22": "SRGAN-VGG22",
    "srgan": "SRGAN",
    "hr": "HR",
}

LOSSES = ("srresnet", "srresnet-vgg22", "srgan-mse", "srgan-vgg22", "srgan")  # Table 1
COMPARED = tuple(PAPER_MOS["BSD100"])  # Table 2
ALIKE = ("srcnn", "selfexsr")  # the only pair that does not differ on BSD100

TOLD_PAIRS = 5  # named in a reason; the others are only counted


@dataclass(frozen=True)
class Finding:
    """A sentence of the paper, checked. verdict: `holds`, `does not hold` or `not rated`; reason: what decides."""

    dataset: str
    sentence: str
    verdict: str
    reason: str


def label(method: str) -> str:
    """The method's name in the paper; methods that are not in it keep theirs."""
    return LABELS.get(method, method)


def ordered_methods(names: Iterable[str]) -> list[str]:
    """The distinct names in the order of the paper's tables, then the others by name."""
    return _ordered(names, LABELS)


def ordered_datasets(names: Iterable[str]) -> list[str]:
    """The distinct names in the order of the paper's tables, then the others by name."""
    return _ordered(names, PAPER_MOS)


def findings(mos: pd.DataFrame, pairs: pd.DataFrame) -> list[Finding]:
    """The paper's findings (sections 3.4 and 3.5), checked on a study's means and pairs.

    As in the paper a pair differs if its uncorrected p is below 0.05; the reason says what Holm's correction changes.
    A finding counts as not rated unless all of its methods have been rated, and those that it compares together.

    Args:
        mos: dataset, method, mos.
        pairs: of `mos_study.statistics.pairs.pair_table`: dataset, a, b, p, p_holm, effect.
    """
    losses, methods = list(combinations(LOSSES, 2)), list(combinations(COMPARED, 2))
    of_srgan = [pair for pair in losses if "srgan" in pair]
    srgan_best = "SRGAN (VGG54) is significantly better than every other loss"
    return [
        _compared("Set5", "no loss is significantly the best", losses, _none_is_best, pairs),
        _compared("Set14", srgan_best, of_srgan, _srgan_is_best, pairs),
        _compared(
            "BSD100", f"all pairs differ significantly except {_named(ALIKE)}", methods, _all_but_one_differ, pairs
        ),
        *(_srgan_next_to_hr(dataset, mos) for dataset in PAPER_MOS),
    ]


@dataclass(frozen=True)
class _Pair:
    """effect: above 0 where a is rated higher. p: with or without a correction."""

    a: str
    b: str
    effect: float
    p: float

    @property
    def differs(self) -> bool:
        return self.p < ALPHA

    @property
    def better(self) -> str | None:
        if not self.differs:
            return None
        return self.a if self.effect > 0 else self.b

    def __str__(self) -> str:
        p = "p < 0.001" if self.p < 0.001 else f"p = {self.p:.2g}"
        result = f"{label(self.better)} higher" if self.better else "no difference found"
        return f"{_named((self.a, self.b))} ({p}, {result})"


_Verdict = tuple[bool, str]


def _compared(
    dataset: str,
    sentence: str,
    needed: Sequence[tuple[str, str]],
    check: Callable[[list[_Pair]], _Verdict],
    pairs: pd.DataFrame,
) -> Finding:
    known = {
        frozenset((str(row.a), str(row.b))): row
        for row in pairs[(pairs["dataset"] == dataset) & pairs["p"].notna()].itertuples()
    }
    lacking = {method for pair in needed for method in pair} - set().union(*known)
    if lacking:
        return Finding(dataset, sentence, "not rated", _lacking(lacking))
    apart = [_named(pair) for pair in needed if frozenset(pair) not in known]
    if apart:
        return Finding(dataset, sentence, "not rated", f"never rated together: {_told(apart)}")

    as_paper, corrected = [], []
    for a, b in needed:
        row = known[frozenset((a, b))]
        effect = row.effect if row.a == a else -row.effect
        as_paper.append(_Pair(a, b, effect, row.p))
        corrected.append(_Pair(a, b, effect, row.p_holm))
    holds, reason = check(as_paper)
    lost = [after for before, after in zip(as_paper, corrected, strict=True) if before.differs and not after.differs]
    if not lost:
        return Finding(dataset, sentence, _word(holds), f"{reason}. Holm's correction changes nothing")
    still, _ = check(corrected)
    change = f"With Holm's correction it {'still ' if still == holds else ''}{_word(still)}; no longer differ: "
    return Finding(dataset, sentence, _word(holds), f"{reason}. {change}{_told(lost)}")


def _none_is_best(pairs: list[_Pair]) -> _Verdict:
    wins = {loss: sum(pair.better == loss for pair in pairs) for loss in LOSSES}
    nearest = max(wins, key=lambda loss: wins[loss])
    own = [pair for pair in pairs if nearest in (pair.a, pair.b)]
    if wins[nearest] == len(own):
        return False, f"{label(nearest)} is better than every other: {_told(own)}"
    if not wins[nearest]:
        return True, "no loss is better than any other; the least p: " + str(min(pairs, key=lambda pair: pair.p))
    return True, f"{label(nearest)} is nearest to it, but: {_told([pair for pair in own if pair.better != nearest])}"


def _srgan_is_best(pairs: list[_Pair]) -> _Verdict:
    against = [pair for pair in pairs if pair.better != "srgan"]
    return not against, _told(against or pairs)


def _all_but_one_differ(pairs: list[_Pair]) -> _Verdict:
    (alike,) = (pair for pair in pairs if {pair.a, pair.b} == set(ALIKE))
    others = [pair for pair in pairs if pair is not alike]
    against = [pair for pair in others if not pair.differs] + [alike] * alike.differs
    if against:
        return False, _told(against)
    return True, f"{alike}; the largest p of the {len(others)} others: {max(others, key=lambda pair: pair.p)}"


def _srgan_next_to_hr(dataset: str, mos: pd.DataFrame) -> Finding:
    """Table 2: means alone, of which the paper tests none here."""
    sentence = "SRGAN's mean is above that of every method of Table 2 but HR"
    rows = mos[(mos["dataset"] == dataset) & mos["mos"].notna()]
    means = dict(zip(rows["method"].astype(str), rows["mos"], strict=True))
    lacking = set(COMPARED) - set(means)
    if lacking:
        return Finding(dataset, sentence, "not rated", _lacking(lacking))
    ranked = sorted(COMPARED, key=lambda method: -means[method])
    reason = "by means, without a test: " + ", ".join(f"{label(method)} {means[method]:.2f}" for method in ranked[:3])
    if "srgan" not in ranked[:3]:
        reason += f", ..., SRGAN {means['srgan']:.2f}"
    holds = ranked[:2] == ["hr", "srgan"] and means["srgan"] > means[ranked[2]]
    return Finding(dataset, sentence, _word(holds), reason)


def _word(holds: bool) -> str:
    return "holds" if holds else "does not hold"


def _named(pair: tuple[str, str]) -> str:
    return " - ".join(map(label, pair))


def _lacking(methods: Iterable[str]) -> str:
    return f"no ratings to compare of {', '.join(map(label, ordered_methods(methods)))}"


def _told(pairs: Sequence[_Pair | str]) -> str:
    more = f" and {len(pairs) - TOLD_PAIRS} more" if len(pairs) > TOLD_PAIRS else ""
    return ", ".join(map(str, pairs[:TOLD_PAIRS])) + more


def _ordered(names: Iterable[str], known: Iterable[str]) -> list[str]:
    places = {name: place for place, name in enumerate(known)}
    return sorted(set(names), key=lambda name: (places.get(name, len(places)), name))
