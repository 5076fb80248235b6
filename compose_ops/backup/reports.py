"""What other operations ask about the sets of a project and its restore points."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import Any

from compose_ops.backup import destinations, helper, repository
from compose_ops.backup import restore_points as points
from compose_ops.backup.restore_points import RestorePoint
from compose_ops.console import say
from compose_ops.errors import DataError
from compose_ops.runtime.context import StackContext


def verified_sets(stack: StackContext) -> Sequence[datetime]:
    """Return when each verified set was taken: to verify one again renews no data."""
    return list(_verified(stack))


def _verified(stack: StackContext) -> Iterator[datetime]:
    for dest in destinations.known(stack.backups, stack.state):
        with suppress(OSError, ValueError):
            for found in repository.listed(dest, stack.project):
                if found.verified and found.manifest:
                    yield datetime.fromisoformat(found.manifest.created)


def helper_image(stack: StackContext) -> tuple[str, Sequence[str]]:
    """Return the helper image's name, and the images that it can be built on."""
    return helper.image(), stack.config.backup.helper_base


def newest_size(stack: StackContext) -> int:
    """Return the bytes of the newest set in the project's own folder, 0 for none."""
    folder = stack.backups
    if not folder.is_dir():
        return 0
    made = [s.manifest for s in repository.listed(folder, stack.project) if s.manifest]
    return made[0].size if made else 0


def restore_points(stack: StackContext) -> Sequence[RestorePoint]:
    """Return what restores have moved aside and nobody discarded, oldest first."""
    return points.listed(stack)


def restore_points_as_json(stack: StackContext) -> list[Mapping[str, Any]]:
    """Return what `status` says of the data that restores have moved aside."""
    try:
        return [asdict(entry) for entry in points.listed(stack)]
    except DataError as damaged:
        say(f"warning: {damaged.message}; {damaged.hint}")
        return []


def forget_removed_volumes(stack: StackContext) -> None:
    """Forget the restore points whose volumes were removed."""
    points.forget_volumes(stack)
