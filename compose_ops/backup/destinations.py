"""Where sets of a project were written besides the checkout's own folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compose_ops.project.paths import BACKUPS
from compose_ops.state.store import StateFile

FILE = "destinations.json"


@dataclass(frozen=True, slots=True)
class Destinations:
    """The folders that sets were written to, in the order of the first set."""

    paths: tuple[str, ...] = ()


def _upgrade(_schema: int, data: Any) -> Any:
    """Return the fields of what the version before wrote: a list of folders."""
    return {"paths": data}


STATE_FILE = StateFile(
    FILE,
    Destinations,
    without="the next backup remembers its destination",
    upgrade=_upgrade,
)


def known(root: Path, state: Path) -> tuple[Path, ...]:
    """
    Return the folders where a project's sets may lie, the checkout's own first.

    Raises DataError where what was remembered is damaged.
    """
    return tuple(dict.fromkeys((root / BACKUPS, *map(Path, _remembered(state)))))


def remember(root: Path, state: Path, dest: Path) -> None:
    """Keep in mind that a set was written to *dest*."""
    if dest not in known(root, state):
        STATE_FILE.save(state, Destinations((*_remembered(state), str(dest))))


def _remembered(state: Path) -> tuple[str, ...]:
    return (STATE_FILE.load(state) or Destinations()).paths
