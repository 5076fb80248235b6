"""Results of checks: verdicts, and the row that sums up those of one check."""

import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

OUTCOMES = ("ok", "skipped", "warn", "fail", "crashed")
"""From harmless to bad; a row has the worst outcome of its verdicts."""

ENGINE = "engine: "
"""Prefix of `about` where no task can continue without the repair."""

PROBLEMS = frozenset({"warn", "fail", "crashed"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    One judgement: outcome, one line of detail, and the command that repairs it.

    `about` names what was judged without any changing figure, so that an accepted
    finding keeps its key. `safe` means that the repair loses and stops nothing.
    """

    outcome: str
    detail: str
    repair: str = ""
    about: str = ""
    safe: bool = False

    @property
    def key(self) -> str:
        """What was found, the same while only figures change."""
        return f"{self.outcome}:{self.about or self.detail}"


@dataclass(frozen=True, slots=True)
class Row:
    """One check's result; `seconds` is how long the slowest of its facts took."""

    id: str
    topic: str
    verdicts: tuple[Verdict, ...]
    accepted: str = ""
    seconds: float = 0.0

    @property
    def outcome(self) -> str:
        found = {verdict.outcome for verdict in self.verdicts}
        worst = max(found, key=OUTCOMES.index, default="ok")
        return "skipped" if self.accepted and worst in PROBLEMS else worst

    @property
    def problems(self) -> tuple[Verdict, ...]:
        """The verdicts that need a repair, the worst first."""
        found = [v for v in self.verdicts if v.outcome in PROBLEMS]
        return tuple(sorted(found, key=lambda v: -OUTCOMES.index(v.outcome)))

    @property
    def detail(self) -> str:
        """One line, of the worst verdict, and how many more there are."""
        if not self.verdicts:
            return ""
        chosen = self.problems or self.verdicts
        more = f" (and {len(chosen) - 1} more)" if len(chosen) > 1 else ""
        prefix = f"accepted ({self.accepted}): " if self.accepted else ""
        return f"{prefix}{chosen[0].detail}{more}"

    @property
    def repair(self) -> str:
        return self.problems[0].repair if self.problems else ""

    @property
    def finding(self) -> str:
        """The fingerprint of what was found: other findings have another one."""
        about = sorted(verdict.key for verdict in self.problems)
        return sha256("\n".join([self.id, *about]).encode()).hexdigest()[:16]

    def as_json(self) -> dict[str, Any]:
        """Return the row as one JSON object."""
        return {
            "id": self.id,
            "topic": self.topic,
            "outcome": self.outcome,
            "detail": self.detail,
            "repair": self.repair,
            "accepted": self.accepted,
            "seconds": round(self.seconds, 3),
            "findings": [
                {
                    "outcome": v.outcome,
                    "about": v.about,
                    "detail": v.detail,
                    "repair": v.repair,
                    "safe": v.safe,
                }
                for v in self.problems
            ],
        }


def unprefixed(repair: str) -> str:
    """Return a repair as root types it; a machine of root's alone may lack sudo."""
    return re.sub(r"(^|&& |\| )sudo ", r"\1", repair)


def judged(
    judge: Callable[..., Iterable[Verdict]], values: Mapping[str, Any]
) -> tuple[Verdict, ...]:
    """Return the verdicts of a judgement, a crashed one where it raises."""
    try:
        found = tuple(judge(**values))
    except Exception as fault:  # noqa: BLE001 - a crash of one check is a finding
        detail = f"the check crashed: {type(fault).__name__}: {fault}"
        return (Verdict("crashed", detail),)
    if os.geteuid() != 0:
        return found
    return tuple(
        replace(verdict, repair=unprefixed(verdict.repair)) for verdict in found
    )


def ok(detail: str) -> Verdict:
    return Verdict("ok", detail)


def skip(reason: str) -> Verdict:
    return Verdict("skipped", reason)


def warn(
    detail: str, repair: str = "", *, about: str = "", safe: bool = False
) -> Verdict:
    return Verdict("warn", detail, repair, about, safe)


def fail(
    detail: str, repair: str = "", *, about: str = "", safe: bool = False
) -> Verdict:
    return Verdict("fail", detail, repair, about, safe)


def command(*words: object) -> str:
    """Return words as a line that a shell reads back as these words."""
    return shlex.join(str(word) for word in words)


def listed(names: Sequence[str], *, most: int = 4) -> str:
    """Return names separated by commas, only the first ones when there are many."""
    first = ", ".join(names[:most])
    rest = len(names) - most
    return f"{first} and {rest} more" if rest > 0 else first
