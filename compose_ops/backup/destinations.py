"""Where sets of a project were written besides its own folder of sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compose_ops.backup import addresses, repository
from compose_ops.backup.addresses import Place, RepositoryAddress
from compose_ops.backup.repository import BackupSet
from compose_ops.console import say
from compose_ops.errors import DataError
from compose_ops.runtime.context import StackContext
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


def folders(stack: StackContext) -> tuple[Path, ...]:
    """
    Return the folders where sets may lie: its own, remembered ones, and named ones.

    Raises DataError and UsageError for what was remembered or named and is none.
    """
    named = addresses.all_named(stack.config, stack.root)
    own = [place for place in named if isinstance(place, Path)]
    return tuple(dict.fromkeys((*known(stack.backups, stack.state), *own)))


def has_repositories(stack: StackContext) -> bool:
    """Say whether sets may lie in repositories, which only a helper can read."""
    written = _remembered(stack.state).newest
    return any(not Path(dest).is_absolute() for dest in written) or bool(
        addresses.repositories(stack.config, stack.root)
    )


def remember(own: Path, state: Path, dest: Place, set_id: str = "") -> None:
    """Keep in mind that a set was written to *dest*, and which."""
    before = _remembered(state)
    new = isinstance(dest, Path) and dest not in known(own, state)
    more = (str(dest),) if new else ()
    newest = {str(dest): set_id} if set_id else {}
    now = Destinations((*before.paths, *more), {**before.newest, **newest})
    if now != before:
        STATE_FILE.save(state, now)


def newest_set(state: Path, dest: Place) -> str:
    """Return the last set that was written to *dest*, "" where none is known."""
    return _remembered(state).newest.get(str(dest), "")


def require_sets(stack: StackContext, dest: Place) -> None:
    """
    Raise DataError where *dest* is known to have held sets, and holds none.

    What it lies on is not mounted today, or somebody removed them: a set that is
    written there now would lie on another disk. A repository that is lost is found
    when it is opened.
    """
    if isinstance(dest, RepositoryAddress):
        return
    held = _held(stack, dest)
    if held and not repository.listed(dest, stack.project):
        raise _lost(stack, dest, held)


def require_found(
    stack: StackContext, dest: Place, found: Sequence[BackupSet], project: str
) -> None:
    """
    Say where none of a project's sets was *found* at *dest*.

    Raises DataError where it is known to have held sets of this one.
    """
    if found:
        return
    if project == stack.project and (held := _held(stack, dest)):
        raise _lost(stack, dest, held)
    say(f"there is no set of {project} in {dest}")


def _held(stack: StackContext, dest: Place) -> str:
    """Return what is remembered to have been written to *dest*, "" for nothing."""
    if last := newest_set(stack.state, dest):
        return f"the set {last}"
    return "sets" if str(dest) in _remembered(stack.state).paths else ""


def _lost(stack: StackContext, dest: Place, held: str) -> DataError:
    anew = "mount what it lies on; if it is to begin anew: backup --new-destination"
    if isinstance(dest, RepositoryAddress):
        anew = "is it the right repository? The next backup writes a set there"
    return DataError(
        f"{dest} held {held}, and holds no set of {stack.project} now", hint=anew
    )


def _remembered(state: Path) -> Destinations:
    return STATE_FILE.load(state) or Destinations()
