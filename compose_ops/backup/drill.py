"""Restore a set where it hurts nobody, boot its stores on it, and record the result."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from compose_ops.backup import (
    doubt,
    drill_project,
    helper,
    preconditions,
    repository,
    service_control,
    store_commands,
    verify,
)
from compose_ops.backup.helper import HelperJob
from compose_ops.backup.manifest import Manifest
from compose_ops.backup.policy import policies
from compose_ops.backup.repository import BackupSet
from compose_ops.backup.restore_targets import RestoreTarget, parts_of
from compose_ops.backup.transaction import unpack
from compose_ops.console import health_progress, say
from compose_ops.docker.api import Engine
from compose_ops.errors import ComposeOpsError, DataError
from compose_ops.runtime import health
from compose_ops.runtime.context import StackContext
from compose_ops.state import journal as journals
from compose_ops.state.journal import Journal
from compose_ops.state.recovery import exclusive


def drill(
    stack: StackContext, dest: Path, *, set_id: str, identity: str
) -> dict[str, Any]:
    """
    Restore the newest verified set, or *set_id*, into scratch volumes and boot it.

    Returns {"set", "counts": {service: number or null}}. Whatever happens nothing of
    it stays, and the set's record says when it was drilled and how it went. Raises
    DataError or UnhealthyError when the set cannot be restored.
    """
    kept = repository.choose(dest, stack.project, set_id=set_id)
    manifest = repository.believed(kept)
    keys = verify.identities(manifest, identity, needed=True)
    known = policies(stack.model)
    if unknown := [s.service for s in manifest.stores if s.service not in known]:
        say(f"not in the compose files, and not drilled: {', '.join(unknown)}")
    parts = [
        replace(part, volume=drill_project.volume_name(stack, part.archive.key))
        for store in manifest.stores
        if store.service in known
        for part in parts_of(stack, manifest, known[store.service])
    ]
    if not parts:
        raise DataError(
            f"{manifest.id} holds nothing that can be drilled",
            hint="invoke backups lists the sets",
        )
    with exclusive(stack, "invoke drill", services=(), kinds=("drill",)):
        helper.require(stack)
        counts = _recorded(stack, kept, parts, keys)
    return {"set": manifest.id, "counts": counts}


def _recorded(
    stack: StackContext,
    kept: BackupSet,
    parts: Sequence[RestoreTarget],
    keys: Sequence[Any],
) -> dict[str, int | None]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        counts = _held(stack, kept, parts, keys)
    except ComposeOpsError as failed:
        repository.note(kept.path, drill={"at": now, "result": failed.message})
        raise
    repository.note(kept.path, drilled=now, drill={"at": now, "result": "restored"})
    return counts


def _held(
    stack: StackContext,
    kept: BackupSet,
    parts: Sequence[RestoreTarget],
    keys: Sequence[Any],
) -> dict[str, int | None]:
    services = list(dict.fromkeys(part.policy.service for part in parts))
    file = drill_project.written(stack, services)
    now = datetime.now(UTC)
    journal = journals.begin(
        stack, "drill", f"{now:%Y%m%dT%H%M%S}-{now.microsecond:06d}", file=str(file)
    )
    try:
        return _boot(stack, journal, kept, parts, keys)
    finally:
        drill_project.undo(stack, journal)


def _boot(
    stack: StackContext,
    journal: Journal,
    kept: BackupSet,
    parts: Sequence[RestoreTarget],
    keys: Sequence[Any],
) -> dict[str, int | None]:
    place = drill_project.engine(stack, Path(journal.facts["file"]))
    services = list(dict.fromkeys(part.policy.service for part in parts))
    place.up(services, start=False)
    manifest = repository.believed(kept)
    for part in parts:
        preconditions.check_room(stack, part)
        with doubt.doubted(kept):
            verify.check_archive(stack, kept, part.archive, keys)
        path = verify.stored(kept, manifest, part.archive)
        with verify.source(path, keys) as (end, reading):
            _fill(stack, journal, manifest, part, end=end, reading=reading)
    say("booting " + ", ".join(services) + " on what was restored")
    place.up(services)
    with health_progress() as report:
        health.wait_until_healthy(
            lambda: place.containers(project=drill_project.project(stack)),
            expected=dict.fromkeys(services, 1),
            timeout=stack.model.patience(services),
            clock=service_control.CLOCK,
            report=report,
        )
    return _counted(stack, place, parts)


def _fill(
    stack: StackContext,
    journal: Journal,
    manifest: Manifest,
    part: RestoreTarget,
    *,
    end: Path,
    reading: Any,
) -> None:
    run = journal.facts["run"]
    work = HelperJob(
        run=run, label=part.volume, volume=part.volume, archive=end, changes=True
    )
    with helper.helper(stack, work) as talk:
        with reading():
            unpack(talk, run, manifest, part)
        if part.policy.mend:
            talk.ask("mend", restore=run, command=part.policy.mend)
        talk.ask("swap in", restore=run)
        talk.ask("commit", restore=run)


def _counted(
    stack: StackContext, place: Engine, parts: Sequence[RestoreTarget]
) -> dict[str, int | None]:
    counts: dict[str, int | None] = {}
    there = place.containers(project=drill_project.project(stack))
    for part in parts:
        (container,) = [c for c in there if c.service == part.policy.service]
        found = store_commands.count(place, part.policy, container)
        counts[part.policy.service] = found
        if not part.store.holds(found):
            raise DataError(
                f"{part.policy.service} counts {found} in the drill, the set says "
                f"{' to '.join(map(str, part.store.count))}",
                hint="take another backup, and drill it",
            )
    return counts
