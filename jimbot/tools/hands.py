"""
The score of a hand of cards, and what it comes to on average when cards are drawn.

A card is rank and suit, such as ``TS`` for the ten of spades. The best poker hand of at
most five among the cards counts: its base and the values of the cards that make it up,
times its multiplier. The values are 2 to 10, ten for J, Q and K, and eleven for A.

`simulate` runs on the cluster, which gets the functions of this module by value: it
imports nothing else of the application.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

RANKS, SUITS = "23456789TJQKA", "CDHS"
VALUES = {rank: min(place + 2, 10) for place, rank in enumerate(RANKS)}
VALUES["A"] = 11
# name: base, multiplier
HANDS = {
    "high card": (5, 1),
    "pair": (10, 2),
    "two pair": (20, 2),
    "three of a kind": (30, 3),
    "straight": (30, 4),
    "flush": (35, 4),
    "full house": (40, 4),
    "four of a kind": (60, 7),
    "straight flush": (100, 8),
}
FIVE = 5
DECK = tuple(rank + suit for rank in RANKS for suit in SUITS)
# The ace is below the two as well.
RUNS = tuple(("A" + RANKS)[at : at + FIVE] for at in range(len(RANKS) - FIVE + 2))

# samples, sum of scores, sum of squares, how often each hand was best
Tally = tuple[int, int, int, dict[str, int]]


def best(cards: Sequence[str]) -> tuple[int, str]:
    """
    Return the highest score among *cards*, and the hand that has it.

    Example: ``best(["AS", "AH", "3D"])`` is ``(64, "pair")``, from (10 + 11 + 11) x 2.
    """
    return max(
        ((HANDS[name][0] + worth) * HANDS[name][1], name)
        for name, worth in _candidates(cards)
    )


def _candidates(cards: Sequence[str]) -> Iterable[tuple[str, int]]:
    """Yield each kind of hand among *cards* with the most that its cards are worth."""
    count: dict[str, int] = {}
    of_suit: dict[str, list[str]] = {}
    for card in cards:
        count[card[0]] = count.get(card[0], 0) + 1
        of_suit.setdefault(card[1], []).append(card[0])
    yield "high card", max(VALUES[rank] for rank in count)
    pairs = [rank for rank in count if count[rank] > 1]
    if pairs:
        yield from _of_a_kind(count, sorted(pairs, key=VALUES.__getitem__))
    run = _run(count)
    if run:
        yield "straight", run
    for ranks in of_suit.values():
        if len(ranks) >= FIVE:
            yield "flush", sum(sorted(map(VALUES.__getitem__, ranks))[-FIVE:])
            run = _run(ranks)
            if run:
                yield "straight flush", run


def _of_a_kind(
    count: dict[str, int], pairs: Sequence[str]
) -> Iterable[tuple[str, int]]:
    yield "pair", 2 * VALUES[pairs[-1]]
    if len(pairs) > 1:
        yield "two pair", 2 * (VALUES[pairs[-1]] + VALUES[pairs[-2]])
    for three in pairs:
        if count[three] > 2:  # noqa: PLR2004
            yield "three of a kind", 3 * VALUES[three]
            others = [VALUES[rank] for rank in pairs if rank != three]
            if others:
                yield "full house", 3 * VALUES[three] + 2 * max(others)
        if count[three] > 3:  # noqa: PLR2004
            yield "four of a kind", 4 * VALUES[three]


def _run(ranks: Iterable[str]) -> int:
    """Return the most that five ranks in a row are worth; 0 where there are none."""
    there = set(ranks)
    if len(there) < FIVE:
        return 0
    return max(
        (sum(map(VALUES.__getitem__, run)) for run in RUNS if there.issuperset(run)),
        default=0,
    )


def simulate(
    held: Sequence[str], rest: Sequence[str], draw: int, samples: int, seed: str
) -> Tally:
    """
    Draw *draw* cards of *rest* to those *held*, *samples* times; return the tally.

    The same *seed* gives the same tally, wherever it runs.
    """
    dice = random.Random(seed)  # noqa: S311  # repeatable is what is asked for
    total = squares = 0
    hands: dict[str, int] = {}
    for _ in range(samples):
        score, name = best([*held, *dice.sample(rest, draw)])
        total += score
        squares += score * score
        hands[name] = hands.get(name, 0) + 1
    return samples, total, squares, hands
