"""The page of an update: verdict, plan, timeline, and the log of what failed."""

from collections.abc import Callable, Iterator, Sequence

from compose_ops.errors import ComposeOpsError
from compose_ops.report import chart
from compose_ops.report.chart import Axis, Band, Bar, Line, Mark
from compose_ops.report.html import Child, facts, folded, node, page, rows
from compose_ops.rollout.plan import Plan
from compose_ops.rollout.recording import NEW, OLD, Recording, Second, Step
from compose_ops.rollout.result import UpdateResult

ADMIT, DRAIN, BACK = "admit", "drain and stop", "put the old version back"
LOOKS = {OLD: "bar-old", NEW: "bar-new"}
LEGEND = (
    ("bar-old", "old version (plain)"),
    ("bar-new", "new version (hatched)"),
    ("bar-none", "the update itself, or versions not told apart"),
)
SERVES, RUNS = "gets requests", "runs"


def update_page(
    service: str, outcome: UpdateResult | None, error: ComposeOpsError | None = None
) -> str:
    """
    Return the page of an update of *service*; *error* is how it failed.

    *outcome* is None where it was refused before there was a plan.
    """
    body: list[Child] = [node("h1", f"Rolling update of {service}")]
    recording = outcome.recording if outcome else None
    if recording:
        body.append(node("p", f"began {recording.began} (UTC)", class_="soft"))
    body.append(_verdict(outcome, error))
    if outcome:
        body += [*_sums(outcome), *_plan(outcome.plan)]
    if recording and outcome:
        body += [*_timeline(recording, outcome), *_logs(recording)]
        if outcome.proof:
            body.append(folded("All seconds", _seconds(recording)))
    if error and error.detail:
        body += [node("h2", "What the error shows"), node("pre", error.detail)]
    return page(f"Rolling update of {service}", *body)


def _verdict(outcome: UpdateResult | None, error: ComposeOpsError | None) -> Child:
    if error is None:
        words = outcome.result.replace("-", " ") if outcome else ""
        told = f"{words[:1].upper()}{words[1:]}"
        proof = outcome.proof.line() if outcome and outcome.proof else ""
        return node("div", node("strong", told), proof, class_="verdict good")
    return node(
        "div",
        node("strong", f"Failed, exit code {error.exit_code}"),
        node("p", error.message),
        node("p", f"What to do: {error.hint}") if error.hint else None,
        class_="verdict bad",
    )


def _sums(outcome: UpdateResult) -> Iterator[Child]:
    proof = outcome.proof
    pairs = [("took", f"{outcome.seconds:.1f} s")]
    if proof:
        pairs += [
            ("requests", str(proof.requests)),
            ("failed", str(proof.failed)),
            ("cut connections", str(outcome.cut)),
            ("longest gap", f"{proof.longest_gap_ms:.0f} ms"),
            ("p99 before", f"{proof.p99_before_ms:.0f} ms"),
            ("p99 during", f"{proof.p99_during_ms:.0f} ms"),
        ]
    if outcome.healthy_after:
        times = ", ".join(f"{s:.1f}" for s in outcome.healthy_after)
        pairs.append(("healthy after", f"{times} s"))
    yield facts(pairs)


def _plan(plan: Plan) -> Iterator[Child]:
    policy = plan.policy
    yield node("h2", "Plan")
    yield node(
        "p",
        f"{policy.order}, {policy.parallelism} at a time, delay {policy.delay:g} s, "
        f"monitor {policy.monitor:g} s, failure_action {policy.failure_action}; "
        f"image {plan.wanted.image}",
        class_="soft",
    )
    lines = [[slot.name, ", ".join(slot.causes)] for slot in plan.changing]
    lines += [[c.name, "surplus replica, removed"] for c in plan.surplus]
    lines += [[c.name, "as wanted, stays"] for c in plan.unchanged]
    yield rows(["container", "why"], lines)


def _timeline(recording: Recording, outcome: UpdateResult) -> Iterator[Child]:
    ends = [s.at + recording.width for s in recording.seconds]
    axis = Axis(0.0, max([1.0, *ends]))
    rules = [s.start for s in recording.steps if s.name in {ADMIT, DRAIN, BACK}]
    yield node("h2", "Timeline")
    yield chart.legend(LEGEND)
    told = "What was done to which container. Its name and times are shown on hover."
    drawn = chart.lanes(axis, list(_lanes(recording, outcome)), "steps of the update")
    yield node("figure", node("figcaption", told), drawn)
    if outcome.proof is None:
        return
    columns = [_bar(second, recording.width) for second in recording.seconds]
    what = (
        f"{_each(recording)}, by the version that answered: all that the gateway sent"
    )
    if not any(second.answers for second in recording.seconds):
        what = f"{_each(recording)}: those of the probe"
    told = f"{what}. ✕ failed requests of the probe, ▽ connections that were cut."
    drawn = chart.bars(
        axis, columns, what, unit="", marks=list(_marks(recording)), rules=rules
    )
    yield node("figure", node("figcaption", told), drawn)
    told = (
        "Latency of the probe's requests, from when each was due; dashed rules: a "
        "replica is admitted, or drained."
    )
    drawn = chart.lines(axis, _latency(recording), told, unit="ms", rules=rules)
    yield node("figure", node("figcaption", told), drawn)


def _each(recording: Recording) -> str:
    return f"Requests in each {'second' if recording.width == 1 else _width(recording)}"


def _width(recording: Recording) -> str:
    return f"{recording.width} seconds"


def _lanes(
    recording: Recording, outcome: UpdateResult
) -> Iterator[tuple[str, list[Band]]]:
    """Yield the update's own lane, then those of containers, the old ones first."""
    end = recording.seconds[-1].at + recording.width if recording.seconds else 0.0
    own = [_band(s, "bar-none") for s in recording.steps if not s.containers]
    yield "update", own
    plan, how = outcome.plan, SERVES if outcome.proof else RUNS
    old = [slot.name for slot in plan.changing if slot.old]
    old += [c.name for c in (*plan.surplus, *plan.unchanged)]
    for name in dict.fromkeys(old):
        mine = _steps(recording, name, OLD)
        until = mine[0].start if mine else end
        serves = Band(0.0, until, how, LOOKS[OLD], "(old version)")
        yield name, [serves, *(_band(s, "bar-old-light") for s in mine)]
    new = [c for s in recording.steps if s.version == NEW for c in s.containers]
    for name in dict.fromkeys(new):
        mine = _steps(recording, name, NEW)
        admitted = [s.end for s in mine if s.name == ADMIT]
        bands = [_band(s, "bar-new-light") for s in mine]
        if admitted:
            until = _taken_back(recording, outcome, mine[-1].end, end)
            bands = [b for b in bands if b.end <= admitted[0]]
            bands.append(Band(admitted[0], until, how, LOOKS[NEW], "(new version)"))
        yield name, bands


def _taken_back(
    recording: Recording, outcome: UpdateResult, proven: float, end: float
) -> float:
    """Return until when a new container got requests that was watched to *proven*."""
    back = [s.start for s in recording.steps if s.name == BACK]
    drained = any(s.name == DRAIN and s.start >= proven for s in recording.steps)
    stays = outcome.plan.policy.failure_action == "pause" and drained
    return back[0] if back and not stays else end


def _steps(recording: Recording, container: str, version: str) -> list[Step]:
    return [
        step
        for step in recording.steps
        if step.version == version and container in step.containers
    ]


def _band(step: Step, kind: str) -> Band:
    return Band(step.start, step.end, step.name, kind)


def _bar(second: Second, width: int) -> Bar:
    answers = second.answers
    parts = [("bar-none", float(second.requests))]
    more = f"{second.at:.0f} s: {second.requests} of the probe"
    if answers:
        parts = [("bar-old", float(answers.old)), ("bar-new", float(answers.new))]
        more = (
            f"{second.at:.0f} s: old version {answers.old} ({answers.old_failed} of "
            f"them 5xx), new version {answers.new} ({answers.new_failed} of them 5xx)"
        )
    return Bar(second.at, second.at + width, parts, more)


def _marks(recording: Recording) -> Iterator[Mark]:
    for second in recording.seconds:
        middle = second.at + recording.width / 2
        if second.failed:
            told = f"{second.failed} requests failed at {second.at:.0f} s"
            yield Mark(middle, "cross", str(second.failed), told)
        if second.cut:
            told = f"{second.cut} connections were cut at {second.at:.0f} s"
            yield Mark(middle, "triangle", str(second.cut), told)


def _latency(recording: Recording) -> Sequence[Line]:
    def line(name: str, kind: str, figure: Callable[[Second], float]) -> Line:
        points = [
            (s.at + recording.width / 2, figure(s) if s.requests else None)
            for s in recording.seconds
        ]
        return Line(name, kind, points)

    return [
        line("p99", "", lambda s: s.p99_ms),
        line("p95", "dashed", lambda s: s.p95_ms),
        line("p50", "dotted", lambda s: s.p50_ms),
    ]


def _logs(recording: Recording) -> Iterator[Child]:
    if recording.failures:
        yield node("h2", "Requests that failed")
        failed = [[f"{note.at:.2f}", note.text] for note in recording.failures]
        yield rows(["second", "what was wrong (latency)"], failed)
    yield node("h2", "Log")
    yield rows(
        ["second", "what happened"],
        [[f"{note.at:.1f}", note.text] for note in recording.notes],
    )
    steps = [
        [f"{s.start:.1f}", f"{s.end:.1f}", s.name, ", ".join(s.containers)]
        for s in recording.steps
    ]
    yield folded("All steps", rows(["from", "to", "step", "containers"], steps))


def _seconds(recording: Recording) -> Child:
    head = ["second", "requests", "failed", "cut", "p50 ms", "p95 ms", "p99 ms"]
    lines = []
    for s in recording.seconds:
        told: list[float | str] = [s.requests, s.failed, s.cut, s.p50_ms, s.p95_ms]
        told += [s.p99_ms]
        told += [s.answers.old, s.answers.new] if s.answers else ["?", "?"]
        lines.append([f"{s.at:.0f}", *map(str, told)])
    return rows([*head, "old version", "new version"], lines)
