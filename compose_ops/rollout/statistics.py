"""What a series of requests says: failed, longest gap, percentiles."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

MAX_LISTED = 5


@dataclass(frozen=True, slots=True)
class Request:
    """
    One request: when it was due and when its answer was complete, and what was wrong.

    Latency counts from the due time, so that a request which had to wait for a stalled
    client or gateway counts with its whole wait.
    """

    due: float
    done: float
    wrong: str = ""

    @property
    def latency(self) -> float:
        return self.done - self.due


@dataclass(frozen=True, slots=True)
class TrafficReport:
    """
    What went through the gateway while an update ran.

    `longest_gap_ms` is the longest time without a good answer; `p99_before_ms` stands
    for the time before the first step. `failures` holds the first few reasons.
    """

    requests: int
    failed: int
    longest_gap_ms: float
    p99_before_ms: float
    p99_during_ms: float
    failures: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    def line(self) -> str:
        """Return the proof in one line."""
        return (
            f"{self.requests} requests, {self.failed} failed, "
            f"longest gap {self.longest_gap_ms:.0f} ms, "
            f"p99 {self.p99_during_ms:.0f} ms (before: {self.p99_before_ms:.0f} ms)"
        )


def proof(
    requests: Sequence[Request], *, begin: float, change: float, least: int = 0
) -> TrafficReport:
    """
    Sum up *requests*; *begin* is when the first was due, *change* the first step.

    A failed request ends no gap, and counts with its latency. What lacks to *least*
    counts as failed: nobody knows what it would have got.
    """
    unsent = max(least - len(requests), 0)
    before = [r.latency for r in requests if r.done <= change]
    during = [r.latency for r in requests if r.done > change]
    wrong = [r for r in requests if r.wrong]
    reasons = [f"the client sent {unsent} requests too few"] if unsent else []
    return TrafficReport(
        requests=len(requests),
        failed=len(wrong) + unsent,
        longest_gap_ms=round(longest_gap(requests, begin) * 1000, 1),
        p99_before_ms=round(percentile(before, 99) * 1000, 1),
        p99_during_ms=round(percentile(during, 99) * 1000, 1),
        failures=tuple(dict.fromkeys([*reasons, *(r.wrong for r in wrong)]))[
            :MAX_LISTED
        ],
    )


def longest_gap(requests: Sequence[Request], begin: float) -> float:
    """Return the longest time in which no good answer arrived, from *begin* on."""
    ends = [begin, *sorted(r.done for r in requests if not r.wrong)]
    ends.append(max([ends[-1], *(r.done for r in requests)]))
    return max(b - a for a, b in pairwise(ends))


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile, 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    rank = max(-(-len(ordered) * percent // 100), 1)
    return ordered[int(rank) - 1]
