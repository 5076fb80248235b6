"""Fill repositories with sets of another one, once nothing of the project waits."""

from collections.abc import Sequence
from dataclasses import dataclass

from compose_ops.backup import destinations, repository, restic_access
from compose_ops.backup.addresses import Place, RepositoryAddress
from compose_ops.backup.repository import BackupSet
from compose_ops.backup.restic_destination import ResticDestination
from compose_ops.console import say
from compose_ops.errors import (
    ComposeOpsError,
    ConfigurationError,
    DataError,
    Locked,
    UsageError,
)
from compose_ops.runtime.context import StackContext

STAGING = "staging"


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy did: the sets that it brought, and those that were there."""

    source: str
    target: str
    copied: tuple[str, ...]
    present: tuple[str, ...]


def staged(stack: StackContext, asked: Sequence[Place]) -> tuple[Place, ...]:
    """
    Return where a set is written while the stores rest: never over a network.

    Where one of them is behind a network and none is a repository here, that is a
    staging repository, too, in the project's state; it has the password of the other.
    """
    local = [place for place in asked if not is_remote(place)]
    remote = [place for place in asked if isinstance(place, RepositoryAddress)]
    behind = [place for place in remote if not place.is_local]
    if not behind or any(isinstance(place, RepositoryAddress) for place in local):
        return tuple(local)
    return (*local, staging(stack, behind[0]))


def staging(stack: StackContext, target: RepositoryAddress) -> RepositoryAddress:
    """Return the repository that a set for *target* is written to first."""
    return RepositoryAddress(
        name=f"{STAGING} of {target.name}",
        url="",
        folder=stack.state / STAGING / _file_name(target),
        password=target.password,
    )


def _file_name(target: RepositoryAddress) -> str:
    return "".join(c if c.isalnum() else "-" for c in target.name)


def is_remote(place: Place) -> bool:
    """Say whether a destination is behind a network."""
    return isinstance(place, RepositoryAddress) and not place.is_local


def fill(
    stack: StackContext, source: RepositoryAddress, target: RepositoryAddress
) -> Copied:
    """
    Copy each set of the project that *target* lacks, its manifest last.

    It holds no lock of the project. What was cut goes on where it was: data that is
    there is not sent again. Raises DataError, ConfigurationError, Locked.
    """
    if source.folder is None:
        raise UsageError(
            f"{source.name} is behind a network", hint="copy from a repository here"
        )
    if not source.folder.is_dir():
        raise DataError(
            f"there is nothing to copy: there is no repository {source.name}",
            hint="invoke backup makes a set there; --source names another repository",
        )
    origin, place = (ResticDestination(stack, one) for one in (source, target))
    sets = origin.listed(stack.project)
    restic_access.make_folder(stack, target)
    with place.talk("copy", source=source) as talk:
        create = not restic_access.had_sets(stack, target)
        talk.at_repository("open", create=create, alike=True)
        locks = talk.at_repository("locks")["locks"]
        if restic_access.drops(stack, target, locks):
            talk.at_repository("unlock")
    there = {kept.id for kept in place.listed(stack.project) if kept.manifest}
    missing = [kept for kept in sets if kept.manifest and kept.id not in there]
    for kept in reversed(missing):
        say(f"copying {kept.id} from {source.name} to {target.name}")
        with place.talk("copy", source=source) as talk:
            talk.at_repository("copy", snapshots=_snapshots(kept))
    if missing:
        newest = max((kept.id for kept in missing), key=repository.number_of)
        destinations.remember(stack.backups, stack.state, target, newest)
    ids = tuple(kept.id for kept in missing)
    return Copied(source.name, target.name, ids, tuple(sorted(there)))


def _snapshots(kept: BackupSet) -> list[list[str]]:
    """Return a set's snapshots in the order in which they are copied."""
    return [sorted(kept.snapshots.values()), [kept.text]]


def fill_behind(
    stack: StackContext, written: Sequence[Place], asked: Sequence[Place], set_id: str
) -> None:
    """
    Fill what of *asked* is behind a network from what was *written* here.

    Raises DataError once all were tried, where one of them failed.
    """
    targets = [a for a in asked if isinstance(a, RepositoryAddress) and not a.is_local]
    sources = [w for w in written if isinstance(w, RepositoryAddress)]
    if not sources:
        return
    failed: list[tuple[RepositoryAddress, ComposeOpsError]] = []
    for target in targets:
        try:
            fill(stack, sources[0], target)
        except (DataError, ConfigurationError, Locked) as fault:
            failed.append((target, fault))
    if failed:
        names = ", ".join(target.name for target, _ in failed)
        first = failed[0][1]
        holders = ", ".join(map(str, written))
        raise DataError(
            f"the set {set_id} is in {holders}, but not in {names}: {first.message}",
            hint=f"invoke copy --dest {failed[0][0].name} sends what is missing",
            detail="\n".join(fault.message for _, fault in failed[1:]),
        )
