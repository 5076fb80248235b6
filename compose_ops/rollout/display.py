"""An update as it runs: slots and requests live on a terminal, lines elsewhere."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from compose_ops.console import has_screen, live_table, say
from compose_ops.rollout.recording import Answers, Recorder
from compose_ops.rollout.statistics import Request, percentile
from compose_ops.rollout.traffic_probe import TrafficProbe

Say = Callable[[str], None]
COLUMNS = ("container", "state", "seconds")
# What is shown of requests is about the last so many seconds.
RECENT = 5.0


@dataclass(slots=True)
class Tally:
    """
    Sums over a growing list of requests; each is read once.

    `since` is when the first was due.
    """

    requests: Sequence[Request]
    since: float
    failed: int = 0
    _read: int = 0
    _recent: deque[Request] = field(default_factory=deque)

    def line(self) -> str:
        """Return how many there were, and the rate and latency of the last seconds."""
        self._catch_up()
        sums = f"{self._read} requests, {self.failed} failed"
        if not self._recent:
            return sums
        latencies = [request.latency for request in self._recent]
        p50, p99 = (percentile(latencies, p) * 1000 for p in (50, 99))
        ended = self._recent[-1].done
        length = max(min(ended - self.since, RECENT), 0.1)
        return (
            f"{sums}; {len(latencies) / length:.0f} a second, "
            f"p50 {p50:.0f} ms, p99 {p99:.0f} ms"
        )

    def _catch_up(self) -> None:
        while self._read < len(self.requests):
            request = self.requests[self._read]
            self._read += 1
            self.failed += bool(request.wrong)
            self._recent.append(request)
        while self._recent and self._recent[0].done < self._recent[-1].done - RECENT:
            self._recent.popleft()


@contextmanager
def displayed(
    service: str, probe: TrafficProbe | None, recorder: Recorder
) -> Iterator[Say]:
    """Yield what takes a step in words, "NAMES: what happens", and shows it."""
    tally = Tally(probe.requests, probe.begin) if probe else None
    states: dict[str, tuple[str, float]] = {}
    live = has_screen()

    def note(step: str) -> None:
        recorder.note(step)
        names, _, what = step.partition(": ")
        states[names if what else service] = (what or names, recorder.passed)
        if not live:
            say(f"{step} ({tally.line()})" if tally and tally.requests else step)

    if not live:
        yield note
        return
    with live_table(COLUMNS, lambda: rows(states, recorder, tally)):
        yield note


def rows(
    states: Mapping[str, tuple[str, float]], recorder: Recorder, tally: Tally | None
) -> list[tuple[str, str, str]]:
    """Return each slot with what happens to it, and what the probe has seen."""
    now = recorder.passed
    found = [
        (name, what, f"{now - since:.0f}") for name, (what, since) in states.items()
    ]
    if tally:
        found.append(("requests", tally.line(), f"{now:.0f}"))
    if cut := sum(count for _, count in recorder.cuts):
        found.append(("cut", f"{cut} connections outlasted the drain timeout", ""))
    if recorder.answers:
        found.append(("answers", _by_version(recorder.answers[-1]), ""))
    return found


def _by_version(reading: tuple[float, float, Answers]) -> str:
    since, until, got = reading
    length = max(until - since, 0.1)
    return (
        f"{got.old / length:.0f} a second by the old version, "
        f"{got.new / length:.0f} by the new one"
    )
