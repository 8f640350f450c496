"""What a rater is shown, and in which order. Pure functions: one seed gives one order."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

import numpy as np

from mos_study.config import RetestConfig, StudyConfig
from mos_study.order import CannotOrderError, Card, by_group, numbered, put_in_order, session_starts, shuffle_apart
from mos_study.records import CALIBRATION_DATASET, PlannedTrial
from sr.errors import SRError

RETEST_DISTANCE = 50  # trials from a stimulus's first showing to its second, at least


class Stimulus(Protocol):
    @property
    def id(self) -> int: ...
    @property
    def dataset(self) -> str: ...
    @property
    def image(self) -> str: ...
    @property
    def method(self) -> str: ...


def plan_trials(
    config: StudyConfig, stimuli: Sequence[Stimulus], counts: Mapping[int, int], rater_seed: Hashable
) -> list[PlannedTrial]:
    """All trials of one rater: the calibration's practice, then main trials with retests among them.

    stimuli: all of the study, those of the calibration included.
    counts: how often each stimulus (by id) was given to other raters as a main trial; none counts as 0.
    rater_seed: names the rater; together with the configuration's seed it decides everything that is random.

    No image follows itself. A second showing is `RETEST_DISTANCE` or more trials after the first. Each quarter of the
    sitting has its share of each method and of each method on each data set, and so has each quarter of a session.
    Sessions are numbered from 0, the practice belonging to session 0.
    Raises SRError when no order can keep these rules, which `check_design` finds out beforehand.
    """
    return _plan(config, stimuli, counts, rater_seed, strict=False)


def check_design(config: StudyConfig, images: Mapping[str, int]) -> None:
    """Raises SRError when the design does not work out.

    images: the number of images of each data set, the calibration's under CALIBRATION_DATASET.
    """
    stimuli = imagined_stimuli(config, images)
    main = sum(stimulus.dataset != CALIBRATION_DATASET for stimulus in stimuli)
    if (config.sampling or 0) > main:
        raise SRError(f"sampling: {config.sampling} trials per rater are asked for, but there are only {main} stimuli")
    examples = len(stimuli) - main
    if config.calibration.practice > examples:
        raise SRError(f"calibration: {config.calibration.practice} practice trials, but only {examples} examples")
    for rater in range(3):
        # With very few images only an unbalanced order is possible; a retest is no reason for one.
        _plan(config, stimuli, {}, f"check {rater}", strict=config.retest is not None)


def trials_per_rater(config: StudyConfig, images: Mapping[str, int]) -> Counter[str]:
    """How many trials of each phase a rater has; `images` as for `check_design`."""
    return Counter(trial.phase for trial in plan_trials(config, imagined_stimuli(config, images), {}, "count"))


@dataclass(frozen=True)
class _Imagined:
    id: int
    dataset: str
    image: str
    method: str


def imagined_stimuli(config: StudyConfig, images: Mapping[str, int]) -> list[Stimulus]:
    """Stimuli as `prepare` would make them of so many images; `images` as for `check_design`."""
    names = [
        (dataset.name, f"image {n}", method.name)
        for dataset in (*config.datasets, config.calibration.as_dataset())
        for n in range(images[dataset.name])
        for method in dataset.methods
    ]
    return [_Imagined(i, *name) for i, name in enumerate(names)]


def _plan(
    config: StudyConfig, stimuli: Sequence[Stimulus], counts: Mapping[int, int], rater_seed: Hashable, strict: bool
) -> list[PlannedTrial]:
    digest = sha256(f"{config.seed}/{rater_seed}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest))
    # The database's numbers of the stimuli, and so the order in which they were prepared, decide nothing.
    ordered = sorted(stimuli, key=lambda stimulus: (stimulus.dataset, stimulus.image, stimulus.method))
    cards = [Card(stimulus.id, stimulus.dataset, stimulus.image, stimulus.method) for stimulus in ordered]
    examples = [card for card in cards if card.dataset == CALIBRATION_DATASET]
    practice = _practice(examples, config.calibration.practice, rng)
    main = _sampled([card for card in cards if card.dataset != CALIBRATION_DATASET], counts, config.sampling, rng)
    again = _retested(main, config.retest, rng)
    both = [*main, *again]
    try:
        order = put_in_order(both, config.sessions.trials, RETEST_DISTANCE if again else 0, rng, strict=strict)
    except CannotOrderError as error:
        raise SRError(_why_not(main, again)) from error

    planned = [PlannedTrial(card.stimulus, "calibration", 0, 0) for card in practice]
    starts = session_starts(len(both), config.sessions.trials)
    seen = set()
    for place, card in enumerate(order):
        repeat = int(card.stimulus in seen)
        seen.add(card.stimulus)
        session = bisect_right(starts, place) - 1
        planned.append(PlannedTrial(card.stimulus, "retest" if repeat else "main", repeat, session))
    return planned


def _why_not(main: list[Card], again: list[Card]) -> str:
    total = len(main) + len(again)
    (dataset, image), showings = Counter((card.dataset, card.image) for card in [*main, *again]).most_common(1)[0]
    if again and showings <= (total + 1) // 2:
        return (
            f"retest: {len(again)} second showings, each {RETEST_DISTANCE} or more trials after the first, do not fit"
            f" into {total} trials with their share of each method throughout; add images or methods, or retest fewer"
        )
    return f"{dataset}/{image} comes {showings} times in {total} trials and would follow itself; add images"


def _practice(examples: list[Card], wanted: int, rng: np.random.Generator) -> list[Card]:
    """Examples of different images as long as there are any, the methods taking turns, in a random order."""
    images = list(dict.fromkeys(card.image for card in examples))
    methods = list(dict.fromkeys(card.method for card in examples))
    images, methods = ([names[i] for i in rng.permutation(len(names))] for names in (images, methods))
    by_name = {(card.image, card.method): card for card in examples}
    chosen = []
    for n in range(wanted):
        round_, place = divmod(n, len(images))
        chosen.append(by_name[images[place], methods[(place + round_) % len(methods)]])
    try:
        return shuffle_apart(chosen, rng)
    except CannotOrderError as error:
        raise SRError(f"calibration: {wanted} practice trials need more images than {len(images)}") from error


def _sampled(cards: list[Card], counts: Mapping[int, int], wanted: int | None, rng: np.random.Generator) -> list[Card]:
    """The least-rated stimuli; among equals those whose image, method and data set the rater has seen least of."""
    if wanted is None or wanted >= len(cards):
        return cards
    count = np.array([counts.get(card.stimulus, 0) for card in cards])
    sets = numbered([card.dataset for card in cards])
    images = numbered([(card.dataset, card.image) for card in cards])
    methods = numbered([card.method for card in cards])
    groups = numbered([card.group for card in cards])
    free = np.full(len(cards), True)
    chosen: list[int] = []
    while len(chosen) < wanted:
        # More of one image could not be kept from following itself.
        allowed = free & (np.bincount(images[chosen], minlength=len(cards))[images] < (wanted + 1) // 2)
        if not allowed.any():
            allowed = free
        equals = np.flatnonzero(allowed & (count == count[allowed].min()))
        # What is left for the next raters stays mixed as well.
        left = [-_share(kinds, equals) for kinds in (sets, images)]
        for score in (left[0], _share(images, chosen), left[1], _share(methods, chosen), _share(groups, chosen)):
            equals = equals[score[equals] == score[equals].min()]
        chosen.append(rng.choice(equals))
        free[chosen[-1]] = False
    return [cards[i] for i in sorted(chosen)]


def _share(kinds: np.ndarray, of: Sequence[int]) -> np.ndarray:
    """For each card, what share of its kind's cards is among those named."""
    return (np.bincount(kinds[of], minlength=len(kinds)) / np.bincount(kinds, minlength=len(kinds)).clip(1))[kinds]


def _retested(main: list[Card], retest: RetestConfig | None, rng: np.random.Generator) -> list[Card]:
    if retest is None:
        return []
    if retest.method is not None:
        return [card for card in main if card.method == retest.method]
    return _every_nth(main, round(retest.fraction * len(main)), rng)


def _every_nth(cards: list[Card], wanted: int, rng: np.random.Generator) -> list[Card]:
    """A random choice with each group's share."""
    order, start = by_group(cards, rng), rng.random()
    return [cards[order[int((n + start) * len(cards) / wanted)]] for n in range(wanted)]
