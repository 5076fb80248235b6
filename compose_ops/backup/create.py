"""Take a backup: quiesce, copy, resume, verify, and only then call it a set."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from compose_ops.backup import (
    encryption,
    helper,
    manifest_writer,
    preconditions,
    quiesce,
    recover,
    repository,
    restore_points,
    service_control,
    undeclared,
    unlock,
    volume_archive,
)
from compose_ops.backup.manifest import Manifest
from compose_ops.backup.policy import Policy, choose
from compose_ops.backup.progress import shows_progress
from compose_ops.backup.service_control import StoppedContainer
from compose_ops.backup.store_backup import StoreBackup
from compose_ops.backup.volume_archive import VolumeBackup
from compose_ops.console import say
from compose_ops.errors import UnhealthyError
from compose_ops.interrupts import undoing
from compose_ops.runtime.context import StackContext
from compose_ops.state import journal as journals
from compose_ops.state.journal import Journal
from compose_ops.state.recovery import exclusive


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """
    What `backup` was asked for; `dest` is absolute.

    With `everything` and `coherent` what depends on the stores rests for the copy: the
    set is of one moment. `allow_undeclared` takes all stores although nobody declares
    some writable mounts; the manifest names these.
    """

    services: Sequence[str] = ()
    everything: bool = False
    dest: Path = Path("backups")
    consistency: str = ""
    gzip: bool = False
    encrypt: Sequence[str] = ()
    coherent: bool = True
    allow_undeclared: bool = False

    @property
    def compression(self) -> str:
        return "gzip" if self.gzip else "zstd"


def take(stack: StackContext, request: BackupRequest) -> Manifest | None:
    """
    Take a set and return its manifest; None with `--dry`.

    All checks come before the first change. Raises DataError, ConfigurationError,
    Locked; UnhealthyError, with the set kept, when what ran before does not get
    healthy again. Whatever happens, what ran before runs again.
    """
    chosen = choose(stack, request.services, everything=request.everything)
    if request.everything:
        undeclared.check(stack, chosen, allowed=request.allow_undeclared)
    keys = encryption.recipients(request.encrypt)
    if stack.dry:
        for item in preconditions.items(stack, chosen, request.consistency):
            say(f"would back up {_described(item)}")
        return None
    names = {policy.service for policy in chosen}
    concerned = {*names, *service_control.affected_by(stack, names)}
    with exclusive(stack, "invoke backup", services=concerned):
        made = take_locked(stack, request, chosen, keys)
        restore_points.expire(stack, made)
        return made


def take_locked(
    stack: StackContext,
    request: BackupRequest,
    chosen: Sequence[Policy],
    keys: Sequence[Any] = (),
) -> Manifest:
    """Take a set while the project's lock is held."""
    helper.require(stack)
    items = preconditions.items(stack, chosen, request.consistency)
    volumes = preconditions.volumes(stack, chosen)
    coherent = request.everything and request.coherent
    left_out = undeclared.listed(stack) if request.everything else ()
    for item in items:
        if item.policy.product:
            say(_described(item))
    partial = repository.next_path(request.dest, stack.project, datetime.now(UTC))
    with _settled(stack, partial) as journal, ExitStack() as helpers:
        repository.make(partial)
        shape = volume_archive.ArchiveFormat(partial, request.compression, tuple(keys))
        found = [
            volume_archive.opened(
                stack,
                helpers,
                item,
                mount=mount,
                volume=volumes[mount.key],
                shape=shape,
            )
            for item in items
            for mount in item.policy.mounts
        ]
        for copying in found:
            volume_archive.measured(copying)
        _check_space(stack, request.dest, found)
        late = _copy(stack, journal, items, found, coherent=coherent)
        manifest = manifest_writer.manifest(
            stack,
            found,
            shape,
            run=partial.name,
            coherent=coherent,
            undeclared=left_out,
        )
        journal.reach("naming")
        final = repository.finish(partial, manifest)
        journal.reach("named")
        repository.note(final, verified=manifest.created)
        if late is not None:
            say(f"the set {manifest.id} is complete and verified")
            raise late
        return manifest


def _check_space(
    stack: StackContext, dest: Path, found: Sequence[VolumeBackup]
) -> None:
    """
    Raise DataError when the set may not fit.

    To weigh every file takes as long as to read a small one: only where it matters.
    """
    ratios = repository.ratios(dest, stack.project)
    if shows_progress() or not preconditions.fits(dest, _occupied(found), {}):
        volume_archive.weighed(found)
    preconditions.check_space(dest, _occupied(found), ratios)


def _occupied(found: Sequence[VolumeBackup]) -> dict[str, int]:
    return {copying.key: copying.occupied for copying in found}


@contextmanager
def _settled(stack: StackContext, partial: Path) -> Iterator[Journal]:
    """Whatever happens in the block, what it stopped runs again afterwards."""
    run = partial.name.removeprefix(".partial-")
    journal = journals.begin(stack, "backup", run, partial=str(partial))
    try:
        yield journal
    finally:
        with undoing("starting again what the backup stopped"):
            recover.undo(stack, journal)


def _copy(
    stack: StackContext,
    journal: Journal,
    items: Sequence[StoreBackup],
    found: Sequence[VolumeBackup],
    *,
    coherent: bool,
) -> UnhealthyError | None:
    """
    Copy while the stores rest; read the copies back while they start again.

    Returns what is not as healthy as before: the copies are no worse for it.
    """
    mark = stack.engine.boot_id()
    with ExitStack() as sessions:
        quiesce.quiesce(stack, journal, items, sessions, coherent=coherent)
        journal.reach("copying", ending=[])
        for copying in found:
            volume_archive.copy(copying)
    quiesce.check_rest(stack, items, engine_mark=mark)
    with ExitStack() as readers:
        for copying in found:
            readers.enter_context(volume_archive.being_reread(copying))
        late = _resume(stack, journal, items)
        for copying in found:
            volume_archive.finish_rereading(copying)
    return late


def _described(item: StoreBackup) -> str:
    """Name a store, how it is to be copied, and what that rests on."""
    policy = item.policy
    recipe = f": {policy.recipe}" if policy.recipe and item.level != "crash" else ""
    product = f", {policy.product}" if policy.product else ""
    return f"{policy.service} ({item.level}{product}{recipe})"


def _resume(
    stack: StackContext, journal: Journal, items: Sequence[StoreBackup]
) -> UnhealthyError | None:
    """Release and start what was quiesced, and wait until all is as before."""
    for lock in journal.facts.get("locked", ()):
        unlock.unlock(stack, lock)
    stores = service_control.from_facts(journal.facts, "stores")
    dependents = service_control.from_facts(journal.facts, "dependents")
    service_control.start(stack, stores)
    journal.reach("stores started", locked=[])
    late = _late(stack, stores, since=None)
    if late is None:
        quiesce.count(stack, items)
    woken = datetime.now(UTC)
    service_control.start(stack, dependents)
    late = _late(stack, dependents, since=woken) or late
    journal.reach("resumed", stores=[], dependents=[])
    return late


def _late(
    stack: StackContext, stopped: Sequence[StoppedContainer], *, since: datetime | None
) -> UnhealthyError | None:
    """Wait until all of *stopped* are healthy; return the failure if they do not."""
    try:
        service_control.wait(stack, stopped, since=since)
    except UnhealthyError as failed:
        return failed
    return None
