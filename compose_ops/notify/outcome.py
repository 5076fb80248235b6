"""How a task went, and what of it is remembered."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from compose_ops.state.runs import Copy, Run, Runs


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    How a task went. `error` and `hint` are lines, empty after a success.

    `services` are those that a backup was asked for, empty for all; `copies` what the
    destinations that it used hold now, None where nobody could look.
    """

    task: str
    project: str
    started: datetime
    ended: datetime
    seconds: float
    exit_code: int
    error: str = ""
    hint: str = ""
    set_id: str = ""
    services: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    copies: tuple[Copy, ...] | None = None

    @property
    def failed(self) -> bool:
        return self.exit_code != 0


def remembered(before: Runs, outcome: Outcome) -> Runs:
    """Return what is known once a task has ended so."""
    last = before.tasks.get(outcome.task)
    ended = _text(outcome.ended)
    run = Run(
        started=_text(outcome.started),
        ended=ended,
        seconds=round(outcome.seconds, 3),
        exit_code=outcome.exit_code,
        error=outcome.error,
        succeeded=(last.succeeded if last else "") if outcome.failed else ended,
    )
    return Runs(
        since=before.since or _text(outcome.started),
        tasks={**before.tasks, outcome.task: run},
        copies=_copies(before.copies, outcome),
    )


def _copies(before: Sequence[Copy], outcome: Outcome) -> tuple[Copy, ...]:
    known = {(copy.service, copy.destination): copy for copy in before}
    found = before if outcome.copies is None else outcome.copies
    new = [_copy(known.get((c.service, c.destination)), c, outcome) for c in found]
    there = {copy.destination for copy in found} | set(outcome.destinations)
    return (*(copy for copy in before if copy.destination not in there), *new)


def _copy(last: Copy | None, found: Copy, outcome: Outcome) -> Copy:
    """Return what is known of a copy: of its run, what only that could measure."""
    seconds, code = (last.seconds, last.exit_code) if last else (0.0, 0)
    if _concerns(outcome, found):
        code = outcome.exit_code
        if last is None or last.success != found.success:
            seconds = round(outcome.seconds, 3)
    return replace(found, seconds=seconds, exit_code=code)


def _concerns(outcome: Outcome, copy: Copy) -> bool:
    """Say whether a run was a backup of this service to this destination."""
    return (
        outcome.task == "backup"
        and (not outcome.services or copy.service in outcome.services)
        and (not outcome.destinations or copy.destination in outcome.destinations)
    )


def _text(time: datetime) -> str:
    return time.isoformat(timespec="seconds")
