"""Where sets of a project were written besides its own folder of sets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compose_ops.state.store import StateFile

FILE = "destinations.json"


@dataclass(frozen=True, slots=True)
class Destinations:
    """
    The folders that sets were written to, in the order of the first set.

    `newest` is the last set that was written to each, also to its own folder.
    """

    paths: tuple[str, ...] = ()
    newest: Mapping[str, str] = field(default_factory=dict)


def _upgrade(_schema: int, data: Any) -> Any:
    """Return the fields of what the version before wrote: a list of folders."""
    return {"paths": data}


STATE_FILE = StateFile(
    FILE,
    Destinations,
    without="the next backup remembers its destination",
    upgrade=_upgrade,
)


def known(own: Path, state: Path) -> tuple[Path, ...]:
    """
    Return the folders where a project's sets may lie, its own folder first.

    Raises DataError where what was remembered is damaged.
    """
    return tuple(dict.fromkeys((own, *map(Path, _remembered(state).paths))))


def remember(own: Path, state: Path, dest: Path, set_id: str = "") -> None:
    """Keep in mind that a set was written to *dest*, and which."""
    before = _remembered(state)
    more = () if dest in known(own, state) else (str(dest),)
    newest = {str(dest): set_id} if set_id else {}
    now = Destinations((*before.paths, *more), {**before.newest, **newest})
    if now != before:
        STATE_FILE.save(state, now)


def newest_set(state: Path, dest: Path) -> str:
    """
    Return the last set that was written to *dest*, "" where none is known.

    Where a folder that had sets holds none, what it lies on may not be mounted.
    """
    return _remembered(state).newest.get(str(dest), "")


def _remembered(state: Path) -> Destinations:
    return STATE_FILE.load(state) or Destinations()
