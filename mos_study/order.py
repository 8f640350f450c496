"""The order of one rater's trials: balanced by dealing cards, then mended by swaps that keep the balance."""

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

ATTEMPTS = 12  # fresh deals; the second half of them may give up some balance
SWAPS = 1500  # tried in each attempt


class CannotOrderError(Exception):
    """No order was found that keeps the rules."""


@dataclass(frozen=True)
class Card:
    """A showing of a stimulus, told by its number; two cards of one stimulus are its two showings."""

    stimulus: int
    dataset: str
    image: str
    method: str

    @property
    def group(self) -> tuple[str, str]:
        return self.method, self.dataset


def session_starts(total: int, session_trials: int) -> list[int]:
    """Places of the first trials of the sessions. They are equally long, give or take one: `session_trials` at most."""
    sessions = math.ceil(total / session_trials)
    return [total * session // sessions for session in range(sessions)]


def put_in_order(
    cards: Sequence[Card], session_trials: int, distance: int, rng: np.random.Generator, *, strict: bool = False
) -> list[Card]:
    """The cards in a random order in which no image follows itself and two showings are `distance` or more apart.

    Cut into four times as many pieces as there are sessions (`session_starts`), any two pieces hold equally many cards
    of a method, and of a method on a data set, give or take one; the same holds for the four quarters of the whole.
    Where that is impossible some balance is given up, or with `strict` CannotOrderError raised.
    CannotOrderError is raised as well when the first two rules cannot be kept.
    """
    blocks = 4 * math.ceil(len(cards) / session_trials)
    bounds = np.arange(blocks + 1) * len(cards) // blocks
    block = np.repeat(np.arange(blocks), np.diff(bounds))
    images = numbered([(card.dataset, card.image) for card in cards])
    groups = numbered([card.group for card in cards])
    stimuli = np.array([card.stimulus for card in cards])
    for attempt in range(ATTEMPTS):
        balanced = strict or attempt < ATTEMPTS // 2
        order = _dealt(cards, np.diff(bounds), rng) if balanced or distance else _alternating(images, rng)
        if distance:
            _spread_showings(order, groups, stimuli, distance, rng)
        if _mended(order, images, stimuli, distance, rng, (block, groups) if balanced else None):
            return [cards[i] for i in order]
    raise CannotOrderError


def shuffle_apart(cards: Sequence[Card], rng: np.random.Generator) -> list[Card]:
    """The cards in a random order in which no image follows itself. Raises CannotOrderError where there is none."""
    images = numbered([(card.dataset, card.image) for card in cards])
    for _ in range(ATTEMPTS):
        order = rng.permutation(len(cards))
        if _mended(order, images, np.arange(len(cards)), 0, rng):
            return [cards[i] for i in order]
    raise CannotOrderError


def by_group(cards: Sequence[Card], rng: np.random.Generator) -> list[int]:
    """The cards' places, those of a method together and in it those of a data set, all else at random.

    Every n-th of them therefore has each group's share, give or take one card.
    """
    rank = defaultdict(rng.random)
    return sorted(range(len(cards)), key=lambda i: (rank[cards[i].method], rank[cards[i].group], rng.random()))


def _dealt(cards: Sequence[Card], sizes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Deals the cards to the four quarters, and each quarter's to its blocks, whose sizes are given."""
    quarters = [list(quarter) for quarter in np.split(sizes, 4)]
    order = []
    hands = _deal(list(range(len(cards))), [sum(quarter) for quarter in quarters], cards, rng)
    for quarter, held in zip(quarters, hands, strict=True):
        for piece in _deal(held, quarter, cards, rng):
            order.extend(rng.permutation(piece))
    return np.array(order, dtype=np.intp)


def _deal(held: list[int], sizes: list[int], cards: Sequence[Card], rng: np.random.Generator) -> list[list[int]]:
    """Sorted by group and dealt in turns, so that the hands differ by at most one card of any group."""
    # Sizes differ by one at most: whoever gets a card more is served first.
    turns = sorted(range(len(sizes)), key=lambda hand: -sizes[hand])
    hands: list[list[int]] = [[] for _ in sizes]
    for turn, place in enumerate(by_group([cards[i] for i in held], rng)):
        hands[turns[turn % len(turns)]].append(held[place])
    return hands


def _alternating(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An order in which no image follows itself, if there is any: of the others, the one left most often is next."""
    left = [list(rng.permutation(np.flatnonzero(images == image))) for image in np.unique(images)]
    order: list[int] = []
    last = -1
    while len(order) < len(images):
        others = [image for image, cards in enumerate(left) if cards and image != last] or [last]
        most = max(len(left[image]) for image in others)
        last = rng.choice([image for image in others if len(left[image]) == most])
        order.append(left[last].pop())
    return np.array(order)


def _spread_showings(
    order: np.ndarray, groups: np.ndarray, stimuli: np.ndarray, distance: int, rng: np.random.Generator
) -> None:
    """Redistributes each group's cards over its places so that two showings are far apart, as far as that goes."""
    for group in np.unique(groups):
        places = np.flatnonzero(groups[order] == group)
        cards = rng.permutation(order[places])
        cards_of = defaultdict(list)
        for card in cards:
            cards_of[stimuli[card]].append(card)
        twice = [pair for pair in cards_of.values() if len(pair) == 2]
        pairs = _far_pairs(list(places), len(twice), distance, rng)
        for pair, of_two in zip(twice, pairs, strict=True):
            order[list(of_two)] = pair
        once = [pair[0] for pair in cards_of.values() if len(pair) == 1]
        order[sorted(set(places) - {place for pair in pairs for place in pair})] = once


def _far_pairs(places: list[int], wanted: int, distance: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Disjoint pairs of the ascending places, at random as long as there is room, else as far apart as they can be."""
    for _ in range(5):
        free, pairs = places.copy(), []
        while len(pairs) < wanted and free[-1] - free[0] >= distance:
            late = rng.choice([place for place in free if place - free[0] >= distance])
            early = rng.choice([place for place in free if late - place >= distance])
            pairs.append((early, late))
            free = [place for place in free if place not in (early, late)]
            if not free:
                break
        if len(pairs) == wanted:
            return pairs
    return list(zip(places[:wanted], places[len(places) - wanted :], strict=True))


def _mended(
    order: np.ndarray,
    images: np.ndarray,
    stimuli: np.ndarray,
    distance: int,
    rng: np.random.Generator,
    kept: tuple[np.ndarray, np.ndarray] | None = None,
) -> bool:
    """Swaps cards in place until no rule is broken; False when that took too long.

    kept: the block of each place and the group of each card; only cards of one block or one group are then swapped,
        which changes no block's share of any group.
    """
    faults = _faults(order, images, stimuli, distance)
    for _ in range(SWAPS):
        if not len(faults):
            return True
        place = rng.choice(faults)
        if kept is None:
            other = rng.integers(len(order))
        else:
            block, groups = kept
            other = rng.choice(np.flatnonzero((block == block[place]) | (groups[order] == groups[order[place]])))
        order[[place, other]] = order[[other, place]]
        after = _faults(order, images, stimuli, distance)
        if len(after) <= len(faults):
            faults = after
        else:
            order[[place, other]] = order[[other, place]]
    return not len(faults)


def _faults(order: np.ndarray, images: np.ndarray, stimuli: np.ndarray, distance: int) -> np.ndarray:
    """Places of cards that follow their own image, or are too near to the same stimulus's other showing."""
    shown = images[order]
    follows = np.flatnonzero(shown[1:] == shown[:-1])
    faults = [follows, follows + 1]
    if distance:
        by_stimulus = np.argsort(stimuli[order], kind="stable")
        ordered = stimuli[order][by_stimulus]
        second = 1 + np.flatnonzero((ordered[1:] == ordered[:-1]) & (np.diff(by_stimulus) < distance))
        faults += [by_stimulus[second], by_stimulus[second - 1]]
    return np.concatenate(faults)


def numbered(names: Sequence[Hashable]) -> np.ndarray:
    """Equal names get equal numbers, counted from 0."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names])
