"""The data that restores have moved aside: kept until it is discarded or outlived."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from compose_ops.backup import data_mounts, helper
from compose_ops.backup.helper import HelperJob
from compose_ops.backup.manifest import Manifest
from compose_ops.backup.policy import policies_of
from compose_ops.console import say
from compose_ops.errors import DataError
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
class RestorePoints:
    """What restores moved aside, oldest first."""

    points: tuple[RestorePoint, ...] = ()


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
    return (STATE_FILE.load(stack.state) or RestorePoints()).points


def add(stack: StackContext, entry: RestorePoint) -> None:
    """Remember what a restore moved aside; once, however often this is done."""
    others = [e for e in listed(stack) if e.restore != entry.restore]
    _write(stack, [*others, entry])


def forget(stack: StackContext, restore: str, services: Sequence[str]) -> None:
    """Remember no more of a restore what it moved aside of *services*."""
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
    _write(stack, entries)


def forget_volumes(stack: StackContext) -> None:
    """Forget what was kept in volumes that are not there any more."""
    found = listed(stack)
    left = [
        replace(entry, volumes=there)
        for entry in found
        if (there := tuple(v for v in entry.volumes if data_mounts.exists(stack, v)))
    ]
    if left != list(found):
        _write(stack, left)


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
    """Remove what a restore moved aside of *services*, for good; all when empty."""
    named = tuple(services) or entry.services
    its = {volume for service in named for volume in _volumes(stack, service)}
    for volume in entry.volumes:
        doomed = volume in its or set(named) == set(entry.services)
        if doomed and data_mounts.exists(stack, volume):
            work = HelperJob(
                run=entry.restore, label=volume, volume=volume, changes=True
            )
            with helper.helper(stack, work) as talk:
                talk.ask("discard", restore=entry.restore)
    forget(stack, entry.restore, named)


def _volumes(stack: StackContext, service: str) -> list[str]:
    known = policies_of(stack)
    mounts = known[service].mounts if service in known else ()
    return [mount.source for mount in mounts]


def expire(stack: StackContext, made: Manifest) -> None:
    """Discard what is older than a week, now that *made* has its services since."""
    there = {store.service for store in made.stores}
    for entry in listed(stack):
        if entry.is_outlived and there.issuperset(entry.services):
            say(f"discarding the data from before the restore {entry.restore}")
            discard(stack, entry)


def _write(stack: StackContext, entries: list[RestorePoint]) -> None:
    STATE_FILE.save(stack.state, RestorePoints(tuple(entries)))
