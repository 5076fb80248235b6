"""Bring a set back as a transaction: all of it, healthy and counted, or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from compose_ops.backup import (
    damage,
    helper,
    places,
    preconditions,
    repository,
    service_control,
    transaction,
    verify,
)
from compose_ops.backup.addresses import Place
from compose_ops.backup.destination import Destination
from compose_ops.backup.manifest import Manifest
from compose_ops.backup.policy import Policy, choose
from compose_ops.backup.repository import BackupSet
from compose_ops.backup.restore_targets import RestoreTarget, parts_of
from compose_ops.console import confirm, say
from compose_ops.errors import DataError, UsageError
from compose_ops.runtime.context import StackContext
from compose_ops.state.recovery import exclusive
from compose_ops.units import readable_size


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What `invoke restore` was asked for; `dest` is absolute."""

    services: Sequence[str] = ()
    everything: bool = False
    dest: Place = Path("backups")
    set_id: str = ""
    at: datetime | None = None
    from_project: str = ""
    identity: str = ""
    yes: bool = False


def restore(stack: StackContext, request: RestoreRequest) -> Manifest | None:
    """
    Replace the data of services by a set's, and return its manifest; None with `--dry`.

    Nothing is touched before the archives are verified and the version fits. Whatever
    fails afterwards, the previous data is put back. Raises DataError, UsageError.
    """
    place = places.opened(stack, request.dest)
    backup_set, parts = _selected(stack, request, place)
    named = {part.policy.service for part in parts}
    stopped = set(service_control.affected_by(stack, named))
    stack.require("restore", services=named | stopped)
    manifest = repository.valid_manifest(backup_set)
    keys = verify.identities(manifest, request.identity, needed=True)
    with exclusive(stack, "invoke restore", services=named | stopped):
        helper.require(stack)
        with damage.marked(place, backup_set):
            for part in parts:
                place.check_archive(backup_set, part.archive, keys)
        preconditions.check_restore(stack, parts)
        _show_plan(stack, manifest, parts)
        if stack.dry:
            return None
        if not confirm("The present data is moved aside.", yes=request.yes):
            raise UsageError(
                "nothing was restored: it was not confirmed",
                hint="--yes answers for a script",
            )
        with transaction.transaction(stack, parts) as journal:
            transaction.create_missing(stack, parts)
            transaction.halt(stack, journal, parts)
            transaction.stage(place, journal, backup_set, parts, keys)
            transaction.swap_and_try(stack, journal, parts)
    return manifest


def _selected(
    stack: StackContext, request: RestoreRequest, place: Destination
) -> tuple[BackupSet, list[RestoreTarget]]:
    chosen = choose(stack, request.services, everything=request.everything)
    project = request.from_project or stack.project
    backup_set = repository.chosen(
        place.listed(project),
        f"{place.name}/{project}",
        services=tuple(policy.service for policy in chosen),
        set_id=request.set_id,
        at=request.at,
    )
    manifest = repository.valid_manifest(backup_set)
    if manifest.project != project:
        raise DataError(
            f"{backup_set.id} is a set of project {manifest.project}, not {project}",
            hint=f"--from-project {manifest.project} restores it here",
        )
    if request.everything:
        chosen = _all_of(manifest, chosen)
    parts = [part for policy in chosen for part in parts_of(manifest, policy)]
    return backup_set, parts


def _all_of(manifest: Manifest, known: Sequence[Policy]) -> tuple[Policy, ...]:
    """Return the policies of all that a set holds; DataError for what nobody knows."""
    names = {policy.service for policy in known}
    if unknown := [s.service for s in manifest.stores if s.service not in names]:
        raise DataError(
            f"{manifest.id} holds {', '.join(unknown)}, not in the compose files here",
            hint="name the mode and the overlays that it was taken in, or single "
            "services: --service NAME",
        )
    there = {store.service for store in manifest.stores}
    if not there:
        raise DataError(
            f"{manifest.id} holds no data", hint="invoke backups lists the sets"
        )
    if lacking := names - there:
        say(f"not in {manifest.id}, and left as it is: " + ", ".join(sorted(lacking)))
    return tuple(policy for policy in known if policy.service in there)


def _show_plan(
    stack: StackContext, manifest: Manifest, parts: Sequence[RestoreTarget]
) -> None:
    for part in parts:
        say(
            f"{'would ' if stack.dry else ''}replace the data of "
            f"{part.policy.service} in {part.volume} by {manifest.id}: "
            f"{readable_size(part.archive.bytes)}, {part.archive.files} files, "
            f"{part.store.consistency}, taken {manifest.created}"
        )
    services = [part.policy.service for part in parts]
    stopped = [*service_control.affected_by(stack, services), *services]
    say("stopped meanwhile, if they run: " + ", ".join(dict.fromkeys(stopped)))
