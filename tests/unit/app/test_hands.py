"""Scores of hands against rules written another way, and samples against all draws."""

import math
from collections import Counter
from itertools import combinations

import pytest

from jimbot.tools.estimate import SAMPLES_OF_A_TASK, dealt, summary
from jimbot.tools.hands import DECK, HANDS, RANKS, VALUES, best, simulate


@pytest.mark.parametrize(
    ("cards", "score", "name"),
    [
        ("2C", (5 + 2) * 1, "high card"),
        ("KC 3D AH", (5 + 11) * 1, "high card"),
        ("AS AH 3D", (10 + 22) * 2, "pair"),
        ("AS AH 3D 3C KD", (20 + 28) * 2, "two pair"),
        ("7S 7H 7D 3C KD", (30 + 21) * 3, "three of a kind"),
        ("AS 2H 3D 4C 5D", (30 + 25) * 4, "straight"),
        ("TS JH QD KC AD", (30 + 51) * 4, "straight"),
        ("2S 4S 6S 8S TS", (35 + 30) * 4, "flush"),
        ("9S 9H 9D 2C 2D", (40 + 31) * 4, "full house"),
        ("9S 9H 9D 9C 2D", (60 + 36) * 7, "four of a kind"),
        ("9S TS JS QS KS", (100 + 49) * 8, "straight flush"),
        # Two threes make a full house, and the better cards count.
        ("2S 2H 2D KS KH KD", (40 + 34) * 4, "full house"),
        ("2S 3S 4S 5S 6H 6S KS AS", (100 + 25) * 8, "straight flush"),
    ],
)
def test_hands_score_as_the_rules_say(cards: str, score: int, name: str) -> None:
    assert best(cards.split()) == (score, name)


def plainly(five: tuple[str, ...]) -> tuple[int, str]:
    """Score at most five cards by the shape of their ranks: another way to the same."""
    shape = Counter(card[0] for card in five).most_common()
    counts = [number for _, number in shape]
    suited = len(five) == 5 and len({card[1] for card in five}) == 1
    ranks = {card[0] for card in five}
    row = any(set(("A" + RANKS)[at : at + 5]) == ranks for at in range(10))
    kinds = {
        "straight flush": suited and row,
        "four of a kind": counts[0] == 4,
        "full house": counts[:2] == [3, 2],
        "flush": suited,
        "straight": row,
        "three of a kind": counts[0] == 3,
        "two pair": counts[:2] == [2, 2],
        "pair": counts[0] == 2,
        "high card": True,
    }
    name = next(kind for kind, there in kinds.items() if there)
    scoring = [r for r, number in shape for _ in range(number) if number > 1]
    if name in {"straight flush", "full house", "flush", "straight"}:
        scoring = [card[0] for card in five]
    if name == "high card":
        scoring = [max(ranks, key=VALUES.__getitem__)]
    base, multiplier = HANDS[name]
    return (base + sum(VALUES[rank] for rank in scoring)) * multiplier, name


@pytest.mark.parametrize("held", ["AS KS", "7S 7H", "2C 9D"])
def test_every_draw_of_three_scores_the_same_both_ways(held: str) -> None:
    have = held.split()
    rest = [card for card in DECK if card not in have]

    for drawn in combinations(rest, 3):
        five = (*have, *drawn)
        assert best(five) == plainly(five)


def test_a_pair_and_three_cards_become_what_combinatorics_says() -> None:
    """Of the 19,600 draws to a pair: counted by hand, not by the code."""
    have = ["AS", "AH"]
    rest = [card for card in DECK if card not in have]
    found = Counter(best([*have, *drawn])[1] for drawn in combinations(rest, 3))

    assert found == {
        "four of a kind": 48,
        "full house": 2 * 12 * 6 + 12 * 4,
        "three of a kind": 2 * 66 * 16,
        "two pair": 12 * 6 * 44,
        "pair": 220 * 64,
    }


@pytest.mark.parametrize("size", [6, 7])
def test_the_best_of_more_cards_is_the_best_five_of_them(size: int) -> None:
    """Enumerated: every card that can be added to four kinds of hand."""
    for start in ("2S 3S 4S 5S 6H 6S", "KS KH KD QS QH QD", "AS 2H 3H 4H 5H KD"):
        have = start.split()[: size - 1]
        for card in (card for card in DECK if card not in have):
            cards = [*have, card]
            scores = [plainly(five)[0] for five in combinations(cards, 5)]
            assert best(cards)[0] == max(scores)


@pytest.mark.parametrize(
    ("held", "gone", "draw"),
    [("2H 5H 9H KH", "", 1), ("7S 7H", "KD QD", 3), ("TS JS QS", "AS", 2)],
)
def test_the_mean_of_samples_is_near_the_mean_of_all_draws(
    held: str, gone: str, draw: int
) -> None:
    """Within four standard errors, which is what the tool says of its accuracy."""
    given = {"held": held.split(), "gone": gone.split(), "draw": draw}
    have, _, rest = dealt(given)
    every = [best([*have, *drawn])[0] for drawn in combinations(rest, draw)]
    exact = sum(every) / len(every)

    estimated = summary([simulate(have, rest, draw, 4000, f"7:{n}") for n in range(5)])

    assert estimated["samples"] == 20_000
    spread = math.sqrt(sum((s - exact) ** 2 for s in every) / len(every))
    assert estimated["standard_error"] == pytest.approx(
        spread / math.sqrt(20_000), rel=0.1
    )
    off = abs(estimated["expected_score"] - exact)
    assert 0 < off < 4 * estimated["standard_error"]
    assert sum(estimated["hands"].values()) == pytest.approx(1)


def test_a_seed_repeats_and_another_differs() -> None:
    rest = list(DECK)

    first, again, other = (
        simulate([], rest, 5, SAMPLES_OF_A_TASK, seed) for seed in ("1:0", "1:0", "2:0")
    )

    assert first == again
    assert first != other


def test_nothing_to_draw_is_known_exactly() -> None:
    told = summary([simulate(["AS", "AH"], [], 0, 1, "1:0")])

    assert (told["expected_score"], told["standard_error"]) == (64, 0)
