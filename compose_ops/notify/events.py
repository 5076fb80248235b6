"""What is worth telling of a task's outcome, beside what was known before."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from compose_ops.notify.outcome import Outcome
from compose_ops.state.runs import Runs
from compose_ops.units import readable_size

KINDS = {
    "failed": "failure",
    "drill-failed": "failure",
    "recovered": "success",
    "unverified": "warning",
    "shrunk": "warning",
}
"""The events, and what Apprise calls a message of each."""

LOOKS_AT_SETS = frozenset({"backup", "verify", "drill"})


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell: its name is a key of `KINDS`."""

    name: str
    title: str
    body: str


def events(
    outcome: Outcome, before: Runs, after: Runs, *, unverified_days: int
) -> tuple[Event, ...]:
    """
    Return what an outcome is worth telling, the gravest first.

    *before* is what was known when the task began, *after* what is known now.
    """
    return tuple(
        Event(name, f"{outcome.project}: {title}", "\n".join(lines))
        for name, title, lines in _found(outcome, before, after, unverified_days)
    )


Found = tuple[str, str, Sequence[str]]


def _found(
    outcome: Outcome, before: Runs, after: Runs, unverified_days: int
) -> Iterator[Found]:
    task = outcome.task
    if outcome.failed:
        name = "drill-failed" if task == "drill" else "failed"
        lines = [outcome.error, f"hint: {outcome.hint}" if outcome.hint else ""]
        code = f"exit code {outcome.exit_code} after {outcome.seconds:.0f} s"
        last = after.tasks[task].succeeded or "never"
        yield (
            name,
            f"{task} failed",
            [*filter(None, lines), code, f"last success: {last}"],
        )
    elif (last_run := before.tasks.get(task)) and last_run.exit_code:
        lines = [f"it had failed: {last_run.error}" if last_run.error else ""]
        yield "recovered", f"{task} succeeds again", [*filter(None, lines)]
    if task in LOOKS_AT_SETS:
        limit = timedelta(days=min(unverified_days, timedelta.max.days))
        if stale := list(_unverified(after, outcome.ended, limit)):
            title = f"nothing verified for {unverified_days} days"
            yield "unverified", title, stale
    if shrunk := list(_shrunk(before, after)):
        yield "shrunk", "sets shrank by more than half", shrunk


def _unverified(after: Runs, now: datetime, limit: timedelta) -> Iterator[str]:
    newest: dict[str, str] = {}
    for copy in after.copies:
        known = newest.get(copy.service, "")
        newest[copy.service] = max(known, copy.verified, key=_age)
    if not newest and now - datetime.fromisoformat(after.since) > limit:
        yield f"no set of any service since {after.since}"
    for service, time in sorted(newest.items()):
        if now - _age(time or after.since) > limit:
            said = f"the newest verified set is of {time}" if time else "none"
            yield f"{service}: {said}"


def _age(text: str) -> datetime:
    return datetime.fromisoformat(text or "0001-01-01T00:00:00+00:00")


def _shrunk(before: Runs, after: Runs) -> Iterator[str]:
    known = {(copy.service, copy.destination): copy for copy in before.copies}
    for copy in after.copies:
        last = known.get((copy.service, copy.destination))
        is_new = last is not None and last.success != copy.success
        if last and is_new and copy.bytes * 2 < last.bytes:
            yield (
                f"{copy.service} in {copy.destination}: {readable_size(last.bytes)} "
                f"before, {readable_size(copy.bytes)} now"
            )
