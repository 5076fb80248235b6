"""Sets of a project: what the tasks about backups have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from compose_ops.config import Config
from compose_ops.errors import DataError, UsageError
from compose_ops.runtime.context import StackContext

if TYPE_CHECKING:
    from compose_ops.backup.addresses import Place, RepositoryAddress
    from compose_ops.backup.destination import Destination
    from compose_ops.backup.drill import DrillResult
    from compose_ops.backup.fill import Copied
    from compose_ops.backup.manifest import Manifest
    from compose_ops.backup.repository import BackupSet
    from compose_ops.backup.retention import Rules


Dests: TypeAlias = str | Path | Sequence[str | Path]
"""One destination or several, as `--dest` names them; none of them is the default."""


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

    @property
    def config(self) -> Config: ...


def destination(stack: _Located, dest: str | Path = "") -> "Place":
    """
    Return the folder of the sets, absolute, or the repository with them.

    Raises UsageError for what names neither.
    """
    return destinations_of(stack, dest)[0]


def destinations_of(stack: _Located, dest: Dests = ()) -> "tuple[Place, ...]":
    """Return the places that *dest* names, by default those of `compose-ops.toml`."""
    from compose_ops.backup import addresses

    own = stack.backups  # judged also where it is not used: sets are looked for there
    several = [dest] if isinstance(dest, (str, Path)) else [*dest]
    if dests := [one for one in several if one]:
        found = [addresses.place(stack.config, stack.root, one) for one in dests]
    else:
        found = [*addresses.all_named(stack.config, stack.root)]
    return tuple(dict.fromkeys(found)) or (own,)


def each(stack: _Located, dest: Dests = ()) -> tuple[str | Path, ...]:
    """Return the words for the single destinations that *dest* names."""
    several = [dest] if isinstance(dest, (str, Path)) else [*dest]
    named = tuple(one for one in several if one)
    return named or tuple(stack.config.destinations) or ("",)


def backup(
    stack: StackContext,
    dest: Dests = (),
    *,
    services: Sequence[str] = (),
    everything: bool = False,
    consistency: str = "",
    gzip: bool = False,
    encrypt: Sequence[str] = (),
    allow_undeclared: bool = False,
    new_destination: bool = False,
) -> "Manifest | None":
    """Take a set, and remember where; None with `--dry`."""
    from compose_ops.backup import create, destinations, fill
    from compose_ops.backup.writing import NotEverywhere

    asked = destinations_of(stack, dest)
    first, *others = fill.staged(stack, asked)
    request = create.BackupRequest(
        services=services,
        everything=everything,
        dest=first,
        others=others,
        consistency=consistency,
        gzip=gzip,
        encrypt=encrypt,
        coherent=stack.config.backup.coherent,
        allow_undeclared=allow_undeclared,
        new_destination=new_destination,
    )
    try:
        made = create.take(stack, request)
    except NotEverywhere as partly:
        set_id = partly.manifest.id
        holders = [p for p in request.all_places if str(p) in partly.holders]
        for place in holders:
            destinations.remember(stack.backups, stack.state, place, set_id)
        fill.fill_behind(stack, holders, asked, set_id)
        raise
    if made is None:
        return None
    for place in request.all_places:
        destinations.remember(stack.backups, stack.state, place, made.id)
    fill.fill_behind(stack, request.all_places, asked, made.id)
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
    from compose_ops.backup import places

    place = places.opened(stack, destination(stack, dest))
    return tuple(place.listed(project or stack.project))


def verify(
    stack: StackContext,
    dest: str | Path = "",
    *,
    set_id: str = "",
    project: str = "",
    identity: str = "",
) -> tuple[Verification, ...]:
    """
    Read one set, or every set of the project, and compare every hash.

    Raises DataError where the destination held sets and holds none.
    """
    from compose_ops.backup import destinations, helper, places, repository

    address = destination(stack, dest)
    place = places.opened(stack, address)
    owner = project or stack.project
    helper.require(stack)
    found = place.listed(owner)
    destinations.require_found(stack, address, found, owner)
    if set_id:
        found = [repository.chosen(found, f"{place.name}/{owner}", set_id=set_id)]
    return tuple(_verified(place, one, identity) for one in found)


def _verified(place: "Destination", found: "BackupSet", identity: str) -> Verification:
    from compose_ops.backup import damage, repository
    from compose_ops.backup import verify as proof

    try:
        manifest = repository.valid_manifest(found)
        keys = proof.identities(manifest, identity, needed=False)
        with damage.marked(place, found):
            place.check(found, keys)
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


def copy(stack: StackContext, dest: str, *, source: str = "") -> "Copied":
    """
    Send the sets that a repository lacks to it, from one here.

    That is *source*, by default the first repository here, else the staging one.
    """
    from compose_ops.backup import fill

    return fill.fill(stack, *_ends(stack, dest, source))


def _ends(
    stack: StackContext, dest: str, source: str
) -> "tuple[RepositoryAddress, RepositoryAddress]":
    from compose_ops.backup import fill
    from compose_ops.backup.addresses import RepositoryAddress

    target = destination(stack, dest) if dest else None
    if not isinstance(target, RepositoryAddress):
        raise UsageError(
            "no repository is named to copy to",
            hint="--dest NAME of [destinations] in compose-ops.toml, or restic:…",
        )
    named = [destination(stack, source)] if source else destinations_of(stack)
    found = [
        place
        for place in named
        if isinstance(place, RepositoryAddress) and place.is_local and place != target
    ]
    return (found[0] if found else fill.staging(stack, target)), target


def prune(
    stack: StackContext, dest: str | Path = "", *, rules: "Rules", yes: bool = False
) -> PruneResult:
    """Remove the sets that no rule keeps, once that was confirmed."""
    from compose_ops.backup import prune as pruning

    found = pruning.prune(stack, destination(stack, dest), rules, yes=yes)
    return PruneResult(found["kept"], tuple(found["removed"]))
