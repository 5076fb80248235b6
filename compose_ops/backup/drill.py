"""Restore a set where it hurts nobody, boot its stores on it, and record the result."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from compose_ops.backup import (
    damage,
    drill_cleanup,
    drill_project,
    helper,
    places,
    preconditions,
    repository,
    service_control,
    store_commands,
    verify,
)
from compose_ops.backup.addresses import Place
from compose_ops.backup.destination import Destination
from compose_ops.backup.drill_project import DrillProject
from compose_ops.backup.helper import HelperJob
from compose_ops.backup.policy import policies_of
from compose_ops.backup.repository import BackupSet
from compose_ops.backup.restore_targets import RestoreTarget, parts_of
from compose_ops.console import health_progress, say
from compose_ops.docker.api import Container, Engine
from compose_ops.errors import ComposeOpsError, DataError
from compose_ops.interrupts import undoing
from compose_ops.redaction import clean
from compose_ops.runtime import health
from compose_ops.runtime.context import StackContext
from compose_ops.state import journal as journals
from compose_ops.state.recovery import exclusive


@dataclass(frozen=True, slots=True)
class DrillRequest:
    """What `drill` was asked for; `dest` is absolute, `set_id` "" the newest set."""

    dest: Place = Path("backups")
    set_id: str = ""
    identity: str = ""


@dataclass(frozen=True, slots=True)
class _Source:
    """The set that is drilled, where it lies, and what opens it."""

    place: Destination
    backup_set: BackupSet
    keys: Sequence[Any]


@dataclass(frozen=True, slots=True)
class DrilledStore:
    """
    A store that was booted on a set's data, and became healthy.

    `count` is what it counts, None for a store that cannot say; `checked` says that its
    own check passed, `compared` that the set has a count, too, and that they agree. It
    is `proven` where one of the two was there to be passed.
    """

    service: str
    count: int | None
    checked: bool
    compared: bool = False

    @property
    def proven(self) -> bool:
        return self.checked or self.compared


@dataclass(frozen=True, slots=True)
class DrillResult:
    """A set that was restored where it hurts nobody, and what its stores said there."""

    set_id: str
    stores: tuple[DrilledStore, ...]

    @property
    def proven(self) -> bool:
        return all(store.proven for store in self.stores)


def drill(stack: StackContext, request: DrillRequest) -> DrillResult:
    """
    Restore the newest verified set, or the one named, into scratch volumes and boot it.

    Whatever happens nothing of it stays, and the set's record says when it was drilled
    and how it went. Raises DataError or UnhealthyError when the set cannot be restored,
    counts nothing or otherwise than it says, or fails its store's check.
    """
    place = places.opened(stack, request.dest)
    found = place.listed(stack.project)
    where = f"{place.name}/{stack.project}"
    backup_set = repository.chosen(found, where, set_id=request.set_id)
    manifest = repository.valid_manifest(backup_set)
    keys = verify.identities(manifest, request.identity, needed=True)
    known = policies_of(stack)
    if unknown := [s.service for s in manifest.stores if s.service not in known]:
        say(f"not in the compose files, and not drilled: {', '.join(unknown)}")
    now = datetime.now(UTC)
    run = f"{now:%Y%m%dT%H%M%S}-{now.microsecond:06d}"
    project = drill_project.choose(stack, run)
    parts = [
        replace(part, volume=project.volume(part.archive.key))
        for store in manifest.stores
        if store.service in known
        for part in parts_of(manifest, known[store.service])
    ]
    if not parts:
        raise DataError(
            f"{manifest.id} holds no service of the compose files",
            hint="invoke backups lists the sets",
        )
    with exclusive(stack, "invoke drill", services=(), kinds=("drill",)):
        helper.require(stack)
        project.check_unused(stack.engine)
        stores = _recorded(stack, project, _Source(place, backup_set, keys), parts)
    return DrillResult(manifest.id, stores)


def _recorded(
    stack: StackContext,
    project: DrillProject,
    source: _Source,
    parts: Sequence[RestoreTarget],
) -> tuple[DrilledStore, ...]:
    note = partial(source.place.note, source.backup_set)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        stores = _drilled(stack, project, source, parts)
    except ComposeOpsError as failed:
        note(drill={"at": now, "result": clean(failed.message)})
        raise
    unproven = ", ".join(store.service for store in stores if not store.proven)
    result = (
        f"booted, but no count or check proves {unproven}"
        if unproven
        else repository.PROVEN
    )
    note(drilled=now, drill={"at": now, "result": result})
    return stores


def _drilled(
    stack: StackContext,
    project: DrillProject,
    source: _Source,
    parts: Sequence[RestoreTarget],
) -> tuple[DrilledStore, ...]:
    services = list(dict.fromkeys(part.policy.service for part in parts))
    file = drill_project.write(stack, project, services)
    journal = journals.begin(
        stack, "drill", project.run, file=str(file), project=project.name
    )
    try:
        return _boot(stack, project, file, source, parts)
    finally:
        with undoing("removing the drill's containers and volumes"):
            drill_cleanup.undo(stack, journal)


def _boot(
    stack: StackContext,
    project: DrillProject,
    file: Path,
    source: _Source,
    parts: Sequence[RestoreTarget],
) -> tuple[DrilledStore, ...]:
    scratch = stack.engine.for_project(file, project.name)
    services = list(dict.fromkeys(part.policy.service for part in parts))
    scratch.up(services, start=False)
    for part in parts:
        project.check_volume(stack.engine, part.volume)
        preconditions.check_room(stack, part)
        with damage.marked(source.place, source.backup_set):
            source.place.check_archive(source.backup_set, part.archive, source.keys)
        _fill(stack, project.run, source, part)
    say("booting " + ", ".join(services) + " on what was restored")
    scratch.up(services)
    with health_progress() as report:
        health.wait_until_healthy(
            lambda: scratch.containers(project=project.name),
            expected=dict.fromkeys(services, 1),
            timeout=stack.model.patience(services),
            clock=service_control.CLOCK,
            report=report,
        )
    return _judged(scratch, project, parts)


def _fill(stack: StackContext, run: str, source: _Source, part: RestoreTarget) -> None:
    source.place.stage(source.backup_set, part, source.keys, restore=run)
    work = HelperJob(run=run, label=part.volume, volume=part.volume, changes=True)
    with helper.helper(stack, work) as talk:
        talk.ask("swap in", restore=run)
        talk.ask("commit", restore=run)


def _judged(
    scratch: Engine, project: DrillProject, parts: Sequence[RestoreTarget]
) -> tuple[DrilledStore, ...]:
    """Let each store count and check what it got."""
    there = scratch.containers(project=project.name)
    stores = {part.policy.service: part for part in parts}
    return tuple(_store(scratch, part, there) for part in stores.values())


def _store(
    scratch: Engine, part: RestoreTarget, there: Sequence[Container]
) -> DrilledStore:
    policy, service = part.policy, part.policy.service
    (container,) = [c for c in there if c.service == service]
    found = store_commands.count(scratch, policy, container)
    if policy.count and found is None:
        raise DataError(
            f"{service} cannot be counted in the drill: its count command failed",
            hint="correct the label compose-ops.backup.count",
        )
    if not part.store.holds(found):
        raise DataError(
            f"{service} counts {found} in the drill, the set says "
            f"{' to '.join(map(str, part.store.count))}",
            hint="take another backup, and drill it",
        )
    if policy.check and (why := store_commands.check(scratch, policy, container)):
        raise DataError(
            f"{service} failed its check in the drill: {why}",
            hint="take another backup, and drill it; compose-ops.drill.check is the "
            "command",
        )
    if found is not None and not part.store.count:
        say(f"{service} counts {found} in the drill; the set has no count to compare")
    return DrilledStore(
        service,
        found,
        checked=bool(policy.check),
        compared=bool(part.store.count) and found is not None,
    )
