"""The sums over requests that the proof is made of."""

import pytest

from compose_ops.rollout.statistics import Request, longest_gap, percentile, proof


def requests(*ends: float, wrong: str = "") -> list[Request]:
    return [Request(due=end - 0.01, done=end, wrong=wrong) for end in ends]


def test_the_longest_gap_is_between_good_answers() -> None:
    """A failed request does not end it, nor does silence at either end."""
    good, bad = requests(0.1, 0.2, 1.0), requests(0.5, wrong="500")

    assert longest_gap([*good, *bad], begin=0.0) == pytest.approx(0.8)
    assert longest_gap(requests(0.9), begin=0.0) == pytest.approx(0.9)
    assert longest_gap([*requests(0.1), *requests(2.0, wrong="x")], begin=0.0) == (
        pytest.approx(1.9)
    )


def test_no_request_is_no_gap() -> None:
    """Nothing was sent, nothing can be said."""
    assert longest_gap([], begin=3.0) == 0.0


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 99, 0.0), ([1.0], 99, 1.0), ([*map(float, range(1, 101))], 99, 99.0)],
)
def test_percentiles_are_by_nearest_rank(
    values: list[float], percent: float, expected: float
) -> None:
    """A value that was measured, never one between two."""
    assert percentile(values, percent) == expected


def test_a_hang_counts_from_when_the_request_was_due() -> None:
    """Latency includes the time in which it could not be sent."""
    assert Request(due=1.0, done=6.0).latency == 5.0


def test_the_proof_tells_before_from_during() -> None:
    """Requests that ended before the first step are the yardstick."""
    before = [Request(i, i + 0.01) for i in range(3)]
    during = [Request(i, i + 0.05) for i in range(3, 6)]
    found = proof([*before, *during, Request(6, 6.2, "500")], begin=0, change=2.5)

    assert (found.requests, found.failed, found.failures) == (7, 1, ("500",))
    assert (found.p99_before_ms, found.p99_during_ms) == (10.0, 200.0)
