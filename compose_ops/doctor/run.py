"""
Find what is wrong with machine, checkout and stack, and name the repair.

Nothing is changed without `fix`, which runs the repairs that lose and stop nothing.
"""

import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from compose_ops.console import say
from compose_ops.doctor import baseline, requirements
from compose_ops.errors import UsageError
from compose_ops.runtime.context import StackContext
from compose_ops.verdicts import OUTCOMES, Row

FIX_SECONDS = 120.0

SWITCH_SECONDS = 0.0005
"""Threads that wait for docker continue this soon; Python's 5 ms add up to 0.1 s."""


@dataclass(frozen=True, slots=True)
class Report:
    """What an examination found in a project and mode; `notes` concern the run."""

    project: str
    mode: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        found = Counter(row.outcome for row in self.rows)
        return {outcome: found.get(outcome, 0) for outcome in OUTCOMES}

    def as_json(self) -> dict[str, Any]:
        """Return {"project", "mode", "checks": [...], "counts": {outcome: number}}."""
        return {
            "project": self.project,
            "mode": self.mode,
            "checks": [row.as_json() for row in self.rows],
            "counts": self.counts(),
        }


def examine(
    open_stack: Callable[[], StackContext],
    *,
    only: Sequence[str] = (),
    skipped: Sequence[str] = (),
    accept: Sequence[str] = (),
    fix: bool = False,
) -> Report:
    """
    Return a row per check, those of *only* or all.

    *accept* holds words like id=reason; they are stored for what is found now.
    Raises UsageError for an id that no check has.
    """
    reasons = baseline.parse(accept)
    sys.setswitchinterval(SWITCH_SECONDS)
    with ThreadPoolExecutor(2) as aside:
        aside.submit(requirements.registered)  # loaded while the engine answers
        stack = open_stack()
        if not only:  # Compose takes the longest: it merges while the checks load
            aside.submit(stack.begin)
        check_ids([*only, *skipped, *reasons])
        rows = requirements.run(stack, only, skipped=skipped)
    if fix and repair(stack, rows):
        stack = open_stack()
        rows = requirements.run(stack, only, skipped=skipped)
    project, mode = stack.project, str(stack.mode)
    if stack.known is None:
        notes = [
            f"{name} is not accepted: reasons are stored per engine, and none answers"
            for name in reasons
        ]
        return Report(project, mode, rows, tuple(notes))
    if reasons:
        baseline.remember(stack.state, rows, reasons)
    return Report(project, mode, baseline.apply(rows, baseline.load(stack.state)))


def check_ids(names: Iterable[str]) -> None:
    """Load the checks; raise UsageError for the first name that none has."""
    known = requirements.registered()
    for name in names:
        if name not in known:
            from difflib import get_close_matches

            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "docs/doctor.md lists them"
            raise UsageError(f"unknown check {name!r}", hint=hint)


def repair(stack: StackContext, rows: Iterable[Row]) -> int:
    """Run each safe repair once, as it is printed; return how many were run."""
    lines = dict.fromkeys(
        v.repair for row in rows for v in row.problems if v.safe and v.repair
    )
    for line in lines:
        say(f"{'would run' if stack.dry else 'running'}: {line}")
        if not stack.dry:
            _run(stack, shlex.split(line))
    return 0 if stack.dry else len(lines)


def _run(stack: StackContext, words: list[str]) -> None:
    if words[0] == "invoke":
        words = [sys.executable, "-m", "compose_ops", *words[1:]]
    try:
        done = subprocess.run(
            words,
            cwd=stack.root,
            timeout=FIX_SECONDS,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as refused:
        say(f"the repair failed: {refused}")
        return
    if done.returncode != 0:
        say(f"the repair ended with exit code {done.returncode}")
