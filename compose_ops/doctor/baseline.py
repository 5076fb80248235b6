"""Findings that were accepted with a reason, each stored for exactly that finding."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from compose_ops.console import say
from compose_ops.errors import DataError, UsageError
from compose_ops.state.store import StateFile
from compose_ops.verdicts import Row

FILE = "accepted.json"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Why a finding is accepted; `keys` are those of the verdicts it consists of."""

    id: str
    reason: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Baseline:
    """What was accepted, by finding."""

    findings: Mapping[str, Acceptance] = field(default_factory=dict)


def _upgrade(_schema: int, data: Any) -> Any:
    """Return the fields of what the version before wrote: {finding: acceptance}."""
    return {"findings": data}


STATE_FILE = StateFile(
    FILE,
    Baseline,
    without="accepted findings are reported again",
    upgrade=_upgrade,
)


def load(state: Path) -> Mapping[str, Acceptance]:
    """Return what was accepted, by finding; nothing, with a warning, if damaged."""
    try:
        return _load(state)
    except DataError as damaged:
        say(f"warning: {damaged.message}; {STATE_FILE.without}")
        return {}


def _load(state: Path) -> Mapping[str, Acceptance]:
    return (STATE_FILE.load(state) or Baseline()).findings


def parse(words: Iterable[str]) -> dict[str, str]:
    """Return {id: reason} of words like id=reason; UsageError for any other word."""
    found = {}
    for word in words:
        name, equals, reason = word.partition("=")
        if not equals or not reason.strip():
            raise UsageError(
                f"--accept {word} has no reason",
                hint=f"--accept '{name}=why it is so'",
            )
        found[name] = reason.strip()
    return found


def remember(state: Path, rows: Iterable[Row], reasons: Mapping[str, str]) -> None:
    """Store the reasons for what the rows of those ids found now; DataError."""
    accepted = dict(_load(state))
    for row in rows:
        if row.id in reasons and row.problems:
            keys = tuple(verdict.key for verdict in row.problems)
            accepted[row.finding] = Acceptance(row.id, reasons[row.id], keys)
    STATE_FILE.save(state, Baseline(accepted))


def keys(state: Path) -> set[tuple[str, str]]:
    """Return the id and the key of each verdict that was accepted."""
    return {
        (acceptance.id, key)
        for acceptance in load(state).values()
        for key in acceptance.keys
    }


def apply(rows: Iterable[Row], known: Mapping[str, Acceptance]) -> tuple[Row, ...]:
    """Mark the rows whose exact findings were accepted."""
    return tuple(
        replace(row, accepted=known[row.finding].reason)
        if row.problems and row.finding in known
        else row
        for row in rows
    )
