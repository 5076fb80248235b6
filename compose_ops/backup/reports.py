"""What other operations ask about the sets of a project and its restore points."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from compose_ops.backup import destinations, endings, helper_tag, places, repository
from compose_ops.backup import restore_points as points
from compose_ops.backup import undeclared as mounts
from compose_ops.backup import version_jumps as jumps
from compose_ops.backup.addresses import Place, repositories
from compose_ops.backup.manifest import Store
from compose_ops.backup.repository import PROVEN, BackupSet
from compose_ops.backup.restore_points import RestorePoint
from compose_ops.console import say
from compose_ops.docker.api import Container
from compose_ops.errors import DataError
from compose_ops.runtime.context import StackContext
from compose_ops.state.runs import Copy


def newest_verified(stack: StackContext) -> Sequence[datetime]:
    """
    Return when the newest verified set of each destination was taken.

    To verify an older one again renews no data.
    """
    return list(_verified(stack))


def _verified(stack: StackContext) -> Iterator[datetime]:
    for dest in destinations.known(stack.backups, stack.state):
        with suppress(OSError, ValueError):
            for found in repository.listed(dest, stack.project):
                if found.verified and found.manifest:
                    yield datetime.fromisoformat(found.manifest.created)
                    break


def set_folders(stack: StackContext) -> Sequence[Path]:
    """Return the folders where sets of the project may lie, its own first."""
    return destinations.known(stack.backups, stack.state)


def password_files(stack: StackContext) -> Sequence[Path]:
    """Return the files with the passwords of repositories."""
    return [one.password for one in repositories(stack.config, stack.root)]


def copies(stack: StackContext, dest: Place, label: str) -> tuple[Copy, ...]:
    """
    Return what a destination, called *label*, holds of each service of the project.

    Raises DataError where it cannot be read.
    """
    known: dict[str, Copy] = {}
    for found in reversed(places.opened(stack, dest).listed(stack.project)):
        for store in found.manifest.stores if found.manifest else ():
            if store.service in stack.model.services:
                last = known.get(store.service, Copy(store.service, label))
                known[store.service] = _newer(last, found, store)
    return tuple(known.values())


def _newer(last: Copy, found: BackupSet, store: Store) -> Copy:
    taken = found.manifest.created if found.manifest else ""
    proven = found.drill is not None and found.drill["result"] == PROVEN
    return replace(
        last,
        success=taken,
        verified=taken if found.verified else last.verified,
        proven=taken if proven and found.verified else last.proven,
        bytes=sum(archive.bytes for archive in store.archives),
        downtime=store.downtime,
    )


def helper_images(stack: StackContext) -> Sequence[tuple[str, Sequence[str]]]:
    """Return the images that backups need, each with those that it can be built on."""
    name, tables = helper_tag.image(), stack.config.destinations.values()
    needed: list[tuple[str, Sequence[str]]] = [(name, stack.config.backup.helper_base)]
    if any(table.repository for table in tables):
        needed.append((helper_tag.repository_image(), (name,)))
    return needed


def newest_size(stack: StackContext) -> int:
    """Return the bytes of the newest set in the project's own folder, 0 for none."""
    folder = stack.backups
    if not folder.is_dir():
        return 0
    made = [s.manifest for s in repository.listed(folder, stack.project) if s.manifest]
    return made[0].size if made else 0


def restore_points(
    stack: StackContext,
) -> tuple[Sequence[RestorePoint], Sequence[str]]:
    """Return what can come back, and a line on what went with each volume."""
    return points.offered(stack)


def restore_points_as_json(stack: StackContext) -> list[Mapping[str, Any]]:
    """Return what `status` says of the data that restores have moved aside."""
    try:
        entries, lines = points.offered(stack)
    except DataError as damaged:
        say(f"warning: {damaged.message}; {damaged.hint}")
        return []
    for line in lines:
        say(f"warning: {line}")
    return [asdict(entry) for entry in entries]


def undeclared(stack: StackContext) -> Sequence[str]:
    """Return the writable mounts that nobody declares as data or as disposable."""
    return mounts.listed(stack)


def version_jumps(
    stack: StackContext, services: Iterable[str]
) -> Sequence[jumps.VersionJump]:
    """Return the stores that change their major version, or go back."""
    return jumps.find(stack, services)


def remember_ends(stack: StackContext, before: tuple[Container, ...]) -> None:
    """Note how stores ended whose containers, *before*, were removed."""
    endings.remember(stack, before)


def forget_removed_volumes(stack: StackContext) -> None:
    """Forget the restore points whose volumes were removed."""
    points.forget_volumes(stack)
