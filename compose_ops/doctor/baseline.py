"""Findings that were accepted with a reason: remembered for that very finding."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from compose_ops.errors import UsageError
from compose_ops.project.env_file import write_private
from compose_ops.verdicts import Row

FILE = "accepted.json"


def load(state: Path) -> dict[str, dict[str, Any]]:
    """
    Return what was accepted: {finding: {"id", "reason", "keys"}}; none when unreadable.

    `keys` are those of the verdicts that the finding consists of.
    """
    try:
        found = json.loads((state / FILE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def parse(words: Iterable[str]) -> dict[str, str]:
    """Return {id: reason} of words like id=reason; UsageError for any other word."""
    found = {}
    for word in words:
        name, equals, reason = word.partition("=")
        if not equals or not reason.strip():
            raise UsageError(
                f"--accept {word} gives no reason",
                hint=f"--accept '{name}=why it is so'",
            )
        found[name] = reason.strip()
    return found


def remember(state: Path, rows: Iterable[Row], reasons: Mapping[str, str]) -> None:
    """Keep the reasons for what the rows of those ids found just now."""
    kept = load(state)
    for row in rows:
        if row.id in reasons and row.problems:
            kept[row.finding] = {
                "id": row.id,
                "reason": reasons[row.id],
                "keys": [verdict.key for verdict in row.problems],
            }
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(state / FILE, json.dumps(kept, indent=2) + "\n")


def keys(state: Path) -> set[tuple[str, str]]:
    """Return the id and the key of each verdict that was accepted."""
    kept = load(state).values()
    return {(one["id"], key) for one in kept for key in one.get("keys", ())}


def apply(
    rows: Iterable[Row], known: Mapping[str, Mapping[str, Any]]
) -> tuple[Row, ...]:
    """Mark the rows whose findings were accepted, each just as it was."""
    return tuple(
        replace(row, accepted=known[row.finding]["reason"])
        if row.problems and row.finding in known
        else row
        for row in rows
    )
