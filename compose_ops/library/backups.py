"""Sets of a project: what the tasks about backups have in common."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from compose_ops.errors import DataError, UsageError
from compose_ops.runtime.context import StackContext

if TYPE_CHECKING:
    from compose_ops.backup.drill import DrillResult
    from compose_ops.backup.manifest import Manifest
    from compose_ops.backup.repository import BackupSet
    from compose_ops.backup.retention import Rules


@dataclass(frozen=True, slots=True)
class Verification:
    """A set that was read: `fault` is empty for a whole one, `opened` if decrypted."""

    id: str
    fault: str
    opened: bool


@dataclass(frozen=True, slots=True)
class PruneResult:
    """The sets that stay, each with the reason, and those that were removed."""

    kept: Mapping[str, str]
    removed: tuple[str, ...]


class _Located(Protocol):
    @property
    def backups(self) -> Path: ...

    @property
    def root(self) -> Path: ...


def destination(stack: _Located, dest: str | Path) -> Path:
    """
    Return the folder of the sets, absolute; a relative one is the project's.

    Raises UsageError for a URL, which names no folder.
    """
    if scheme := re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", str(dest)):
        raise UsageError(
            f"a destination is a folder, not {scheme[1]}://",
            hint="mount it, and name the folder; one with :// in its name: ./NAME",
        )
    if not dest:
        return stack.backups
    return (stack.root / Path(dest).expanduser()).resolve()


def backup(
    stack: StackContext,
    dest: str | Path = "",
    *,
    services: Sequence[str] = (),
    everything: bool = False,
    consistency: str = "",
    gzip: bool = False,
    encrypt: Sequence[str] = (),
    allow_undeclared: bool = False,
) -> "Manifest | None":
    """Take a set, and remember where; None with `--dry`."""
    from compose_ops.backup import create, destinations

    request = create.BackupRequest(
        services=services,
        everything=everything,
        dest=destination(stack, dest),
        consistency=consistency,
        gzip=gzip,
        encrypt=encrypt,
        coherent=stack.config.backup.coherent,
        allow_undeclared=allow_undeclared,
    )
    made = create.take(stack, request)
    if made:
        destinations.remember(stack.backups, stack.state, request.dest, made.id)
    return made


def restore(
    stack: StackContext,
    dest: str | Path = "",
    *,
    services: Sequence[str] = (),
    everything: bool = False,
    set_id: str = "",
    at: datetime | None = None,
    from_project: str = "",
    identity: str = "",
    yes: bool = False,
) -> "Manifest | None":
    """Replace data by a set's, and return its manifest; None with `--dry`."""
    from compose_ops.backup import restore as restoring

    request = restoring.RestoreRequest(
        services=services,
        everything=everything,
        dest=destination(stack, dest),
        set_id=set_id,
        at=at,
        from_project=from_project,
        identity=identity,
        yes=yes,
    )
    return restoring.restore(stack, request)


def listed(
    stack: StackContext, dest: str | Path = "", *, project: str = ""
) -> "tuple[BackupSet, ...]":
    """Return the sets, the newest first; also those whose manifest is invalid."""
    from compose_ops.backup import repository

    place = destination(stack, dest)
    return tuple(repository.listed(place, project or stack.project))


def verify(
    stack: StackContext,
    dest: str | Path = "",
    *,
    set_id: str = "",
    project: str = "",
    identity: str = "",
) -> tuple[Verification, ...]:
    """Read one set, or every set of the project, and compare every hash."""
    from compose_ops.backup import helper, repository

    place, owner = destination(stack, dest), project or stack.project
    helper.require(stack)
    chosen = (
        [repository.choose(place, owner, set_id=set_id)]
        if set_id
        else repository.listed(place, owner)
    )
    return tuple(_verified(stack, found, identity) for found in chosen)


def _verified(stack: StackContext, found: "BackupSet", identity: str) -> Verification:
    from compose_ops.backup import damage, repository
    from compose_ops.backup import verify as proof

    try:
        manifest = repository.believed(found)
        keys = proof.identities(manifest, identity, needed=False)
        with damage.marked(found):
            proof.check(stack, found, keys)
    except DataError as damaged:
        return Verification(found.id, damaged.message, opened=False)
    return Verification(found.id, "", opened=bool(keys) or not manifest.encrypted)


def drill(
    stack: StackContext,
    dest: str | Path = "",
    *,
    set_id: str = "",
    identity: str = "",
) -> "DrillResult":
    """Restore a set into scratch volumes, boot it, remove everything."""
    from compose_ops.backup import drill as drilling

    request = drilling.DrillRequest(destination(stack, dest), set_id, identity)
    return drilling.drill(stack, request)


def prune(
    stack: StackContext, dest: str | Path = "", *, rules: "Rules", yes: bool = False
) -> PruneResult:
    """Remove the sets that no rule keeps, once that was confirmed."""
    from compose_ops.backup import prune as pruning

    found = pruning.prune(stack, destination(stack, dest), rules, yes=yes)
    return PruneResult(found["kept"], tuple(found["removed"]))
