"""The data that restores have moved aside: kept until it is discarded or outlived."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from compose_ops.backup import data_mounts, helper
from compose_ops.backup.helper import HelperJob, HelperRefusal
from compose_ops.backup.manifest import Manifest
from compose_ops.backup.policy import policies_of
from compose_ops.console import say
from compose_ops.errors import DataError, EngineError
from compose_ops.project.paths import PREVIOUS_FILE
from compose_ops.runtime.context import StackContext
from compose_ops.state import decode
from compose_ops.state.store import StateFile

KEPT_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """
    What one restore moved aside: its id, services, their volumes, and counts.

    `cause` is the task that kept it: a restore, or an update of a store.
    """

    restore: str
    services: tuple[str, ...]
    volumes: tuple[str, ...]
    moved: str
    counts: dict[str, int]
    cause: str = "restore"

    def __post_init__(self) -> None:
        decode.timestamp(self.moved)

    @property
    def moved_at(self) -> datetime:
        return datetime.fromisoformat(self.moved)

    @property
    def is_outlived(self) -> bool:
        """Whether the next verified set of its services lets it go."""
        return datetime.now(UTC) - self.moved_at > KEPT_FOR


@dataclass(frozen=True, slots=True)
class Removal:
    """What a restore moved aside in a volume, and nothing brings back any more."""

    restore: str
    volume: str


@dataclass(frozen=True, slots=True)
class RestorePoints:
    """What restores moved aside, oldest first, and what of it is to be removed."""

    points: tuple[RestorePoint, ...] = ()
    removals: tuple[Removal, ...] = ()


def _upgrade(_schema: int, data: Any) -> Any:
    """Return the fields of what the version before wrote: a list of restores."""
    return {"points": data}


STATE_FILE = StateFile(
    PREVIOUS_FILE,
    RestorePoints,
    without="what restores moved aside stays in its volumes, and is not offered",
    upgrade=_upgrade,
)


def listed(stack: StackContext) -> tuple[RestorePoint, ...]:
    """Return what is kept, oldest first; DataError for a damaged file."""
    return _known(stack).points


def offered(
    stack: StackContext,
) -> tuple[tuple[RestorePoint, ...], tuple[str, ...]]:
    """Return what can come back, and a line on what went with each volume."""
    entries, lines = [], []
    for entry in listed(stack):
        gone = tuple(volume for volume in entry.volumes if _is_gone(stack, volume))
        lost = _lost(stack, entry, gone)
        left = tuple(service for service in entry.services if service not in lost)
        there = tuple(volume for volume in entry.volumes if volume not in gone)
        if left:
            entries.append(replace(entry, services=left, volumes=there))
        if lost:
            lines.append(
                f"what the {entry.cause} {entry.restore} moved aside of "
                f"{', '.join(lost)} is gone with {', '.join(gone)}"
            )
    return tuple(entries), tuple(lines)


def _is_gone(stack: StackContext, volume: str) -> bool:
    try:
        return not data_mounts.exists(stack, volume)
    except EngineError:
        return False


def _lost(
    stack: StackContext, entry: RestorePoint, gone: Sequence[str]
) -> tuple[str, ...]:
    """Return the services whose data does not come back without volumes."""
    if gone and len(gone) == len(entry.volumes):
        return entry.services
    return tuple(s for s in entry.services if gone and {*gone} & {*_volumes(stack, s)})


def add(stack: StackContext, entry: RestorePoint) -> None:
    """Remember what a restore moved aside; once, however often this is done."""
    others = [e for e in listed(stack) if e.restore != entry.restore]
    _write(stack, replace(_known(stack), points=(*others, entry)))


def forget(stack: StackContext, restore: str, services: Sequence[str]) -> None:
    """Remember no more of a restore what it moved aside of *services*."""
    left = _without(stack, restore, services)
    _write(stack, replace(_known(stack), points=left))


def _without(
    stack: StackContext, restore: str, services: Sequence[str]
) -> tuple[RestorePoint, ...]:
    entries = []
    for entry in listed(stack):
        if entry.restore == restore:
            gone = {volume for s in services for volume in _volumes(stack, s)}
            entry = replace(  # noqa: PLW2901 - the same entry, with less in it
                entry,
                services=tuple(s for s in entry.services if s not in services),
                volumes=tuple(v for v in entry.volumes if v not in gone),
                counts={s: n for s, n in entry.counts.items() if s not in services},
            )
        if entry.services:
            entries.append(entry)
    return tuple(entries)


def forget_volumes(stack: StackContext) -> None:
    """Forget what was kept in volumes that are not there any more."""
    found = listed(stack)
    left = tuple(
        replace(entry, volumes=there)
        for entry in found
        if (there := tuple(v for v in entry.volumes if data_mounts.exists(stack, v)))
    )
    if left != found:
        _write(stack, replace(_known(stack), points=left))


def newest(stack: StackContext, services: tuple[str, ...]) -> RestorePoint:
    """Return the newest that concerns *services* (any when empty); DataError."""
    for entry in reversed(listed(stack)):
        if not services or set(services) & set(entry.services):
            if others := set(services) - set(entry.services):
                raise DataError(
                    f"the restore {entry.restore} moved aside nothing of "
                    + ", ".join(sorted(others)),
                    hint="bring back the services of one restore at a time",
                )
            return entry
    raise DataError(
        "no data that a restore moved aside is kept",
        hint="invoke backups lists the sets that can be restored",
    )


def discard(
    stack: StackContext, entry: RestorePoint, services: Sequence[str] = ()
) -> None:
    """
    Remove what a restore moved aside of *services*, for good; all when empty.

    It is not offered any more before any of it goes.
    """
    named = tuple(services) or entry.services
    its = {volume for service in named for volume in _volumes(stack, service)}
    doomed = [
        Removal(entry.restore, volume)
        for volume in entry.volumes
        if volume in its or set(named) == set(entry.services)
    ]
    left = _without(stack, entry.restore, named)
    _write(stack, RestorePoints(left, (*_known(stack).removals, *doomed)))
    finish_removals(stack)


def finish_removals(stack: StackContext) -> None:
    """Remove what was discarded, also by a task that was killed. DataError."""
    left = _known(stack).removals
    for removal in left:
        if data_mounts.exists(stack, removal.volume):
            work = HelperJob(
                run=removal.restore,
                label=removal.volume,
                volume=removal.volume,
                changes=True,
            )
            with helper.helper(stack, work) as talk:
                talk.ask("discard", restore=removal.restore)
        left = tuple(other for other in left if other != removal)
        _write(stack, replace(_known(stack), removals=left))


def _volumes(stack: StackContext, service: str) -> list[str]:
    known = policies_of(stack)
    mounts = known[service].mounts if service in known else ()
    return [mount.source for mount in mounts]


def expire(stack: StackContext, made: Manifest) -> None:
    """
    Discard what is older than a week, now that *made* has its services since.

    What cannot be removed is said; the set is no worse for it.
    """
    try:
        _expire(stack, made)
    except HelperRefusal as hindered:
        say(f"warning: {hindered.message}; the next backup tries to remove it again")


def _expire(stack: StackContext, made: Manifest) -> None:
    finish_removals(stack)
    there = {store.service for store in made.stores}
    for entry in listed(stack):
        if entry.is_outlived and there.issuperset(entry.services):
            say(f"discarding the data from before the restore {entry.restore}")
            discard(stack, entry)


def _known(stack: StackContext) -> RestorePoints:
    return STATE_FILE.load(stack.state) or RestorePoints()


def _write(stack: StackContext, known: RestorePoints) -> None:
    STATE_FILE.save(stack.state, known)
