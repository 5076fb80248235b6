"""What an update saw, second by second: requests by version, and its steps."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil

from compose_ops.rollout.statistics import Request, percentile

# However long an update takes, this much of it is kept.
MAX_SECONDS, MAX_STEPS, MAX_NOTES = 600, 1000, 300
OLD, NEW = "old", "new"


@dataclass(frozen=True, slots=True)
class Answers:
    """What the gateway got of each version: answers, and those of 5xx among them."""

    old: int = 0
    new: int = 0
    old_failed: int = 0
    new_failed: int = 0

    def with_(self, other: "Answers") -> "Answers":
        return Answers(
            self.old + other.old,
            self.new + other.new,
            self.old_failed + other.old_failed,
            self.new_failed + other.new_failed,
        )


@dataclass(frozen=True, slots=True)
class Second:
    """
    One second of an update (`Recording.width` of them); `at` is when it began.

    `requests`, `failed` and the percentiles are of the probe's requests that were due
    in it, `cut` counts connections; `answers` is None where no gateway was asked.
    """

    at: float
    requests: int
    failed: int
    cut: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    answers: Answers | None


@dataclass(frozen=True, slots=True)
class Step:
    """What was done to which containers, and of which version these are."""

    name: str
    containers: tuple[str, ...]
    version: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Note:
    """A line of what happened, and when."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Recording:
    """
    An update from its first request to its last; times are seconds from `began`.

    `began` is in UTC. Longer than `MAX_SECONDS` it has as many parts, each `width`
    seconds long. `failures` are the first requests that failed.
    """

    began: str
    width: int
    seconds: tuple[Second, ...]
    steps: tuple[Step, ...]
    notes: tuple[Note, ...]
    failures: tuple[Note, ...]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(slots=True)
class Recorder:
    """
    Collects what an update sees; *begin* is a time of the clock that *now* reads.

    `names` are those of new containers, by id, and `admitted` their addresses.
    """

    now: Callable[[], float]
    begin: float
    steps: list[Step] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    cuts: list[tuple[float, int]] = field(default_factory=list)
    answers: list[tuple[float, float, Answers]] = field(default_factory=list)
    admitted: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> float:
        return round(max(self.now() - self.begin, 0.0), 2)

    @contextmanager
    def step(
        self, name: str, containers: Sequence[str] = (), version: str = NEW
    ) -> Iterator[None]:
        """Record a step, however it ends."""
        start = self.passed
        try:
            yield
        finally:
            if len(self.steps) < MAX_STEPS:
                step = Step(name, tuple(containers), version, start, self.passed)
                self.steps.append(step)

    def note(self, text: str) -> None:
        if len(self.notes) < MAX_NOTES:
            self.notes.append(Note(self.passed, text))

    def cut(self, count: int) -> None:
        """Record how many connections were cut just now."""
        if count:
            self.cuts.append((self.passed, count))

    def answered(self, since: float, answers: Answers) -> None:
        """Record what the gateway got *since* then, in seconds that had passed."""
        self.answers.append((since, self.passed, answers))

    def recording(self, requests: Sequence[Request]) -> Recording:
        """Return all of it, with the probe's *requests*."""
        end = max([self.passed, *(r.done - self.begin for r in requests[-200:])])
        began = datetime.now(UTC) - timedelta(seconds=self.passed)
        failed = [r for r in requests if r.wrong][:MAX_NOTES]
        return Recording(
            began=began.isoformat(timespec="seconds"),
            width=(width := max(ceil(end / MAX_SECONDS), 1)),
            seconds=tuple(self._seconds(requests, width, int(end / width) + 1)),
            steps=tuple(sorted(self.steps, key=lambda step: step.start)),
            notes=tuple(self.notes),
            failures=tuple(
                Note(round(r.due - self.begin, 2), f"{r.wrong} ({r.latency:.2f} s)")
                for r in sorted(failed, key=lambda r: r.due)
            ),
        )

    def _seconds(
        self, requests: Sequence[Request], width: int, parts: int
    ) -> Iterator[Second]:
        def part(at: float) -> int:
            return min(max(int(at // width), 0), parts - 1)

        by_part: list[list[Request]] = [[] for _ in range(parts)]
        for request in requests:
            by_part[part(request.due - self.begin)].append(request)
        cuts = [0] * parts
        for at, count in self.cuts:
            cuts[part(at)] += count
        answers = self._spread(width, parts)
        for number, group in enumerate(by_part):
            latencies = sorted(r.latency for r in group)
            yield Second(
                at=float(number * width),
                requests=len(group),
                failed=sum(bool(r.wrong) for r in group),
                cut=cuts[number],
                p50_ms=_ms(latencies, 50),
                p95_ms=_ms(latencies, 95),
                p99_ms=_ms(latencies, 99),
                answers=answers.get(number),
            )

    def _spread(self, width: int, parts: int) -> dict[int, Answers]:
        """Return the answers of each part; a reading counts evenly over its time."""
        sums: dict[int, list[float]] = {}
        for start, end, got in self.answers:
            for number in range(int(start // width), min(int(end // width) + 1, parts)):
                overlap = min(end, (number + 1) * width) - max(start, number * width)
                share = max(overlap, 0.0) / max(end - start, 1e-9)
                before = sums.get(number, [0.0] * 4)
                now = zip(before, astuple(got), strict=True)
                sums[number] = [a + b * share for a, b in now]
        return {n: Answers(*map(round, found)) for n, found in sums.items()}


def _ms(latencies: Sequence[float], percent: float) -> float:
    return round(percentile(latencies, percent) * 1000, 1)
