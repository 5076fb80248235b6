"""Take a backup: quiesce, copy, let go, prove, and only then call it a set."""

from collections.abc import Callable, Iterator, Sequence
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
    unlock,
    volume_archive,
)
from compose_ops.backup.manifest import Manifest
from compose_ops.backup.policy import Policy, choose
from compose_ops.backup.progress import shows_progress
from compose_ops.backup.quiesce import StoreBackup
from compose_ops.backup.service_control import StoppedContainer
from compose_ops.backup.volume_archive import VolumeBackup
from compose_ops.console import say
from compose_ops.errors import UnhealthyError
from compose_ops.runtime.context import StackContext
from compose_ops.state import journal as journals
from compose_ops.state.journal import Journal
from compose_ops.state.recovery import exclusive


@dataclass(frozen=True, slots=True)
class Request:
    """What `invoke backup` was asked for; `dest` is absolute."""

    services: Sequence[str] = ()
    everything: bool = False
    dest: Path = Path("backups")
    consistency: str = ""
    gzip: bool = False
    encrypt: Sequence[str] = ()

    @property
    def compression(self) -> str:
        return "gzip" if self.gzip else "zstd"


def take(stack: StackContext, request: Request) -> Manifest | None:
    """
    Take a set and return its manifest; None with `--dry`.

    All checks come before the first change. Raises DataError, ConfigurationError,
    Locked; UnhealthyError, with the set kept, when what ran before does not get
    healthy again. Whatever happens, what ran before runs again.
    """
    chosen = choose(stack.model, request.services, everything=request.everything)
    keys = encryption.recipients(request.encrypt)
    if stack.dry:
        for item in preconditions.items(stack, chosen, request.consistency):
            say(f"would back up {item.policy.service} ({item.level})")
        return None
    with exclusive(stack, "invoke backup"):
        made = take_locked(stack, request, chosen, keys)
        restore_points.expire(stack, made)
        return made


def take_locked(
    stack: StackContext,
    request: Request,
    chosen: Sequence[Policy],
    keys: Sequence[Any] = (),
) -> Manifest:
    """Take a set while the project's lock is held."""
    helper.require(stack)
    items = preconditions.items(stack, chosen, request.consistency)
    volumes = preconditions.volumes(stack, chosen)
    partial = repository.next_path(request.dest, stack.project, datetime.now(UTC))
    with _settled(stack, partial) as journal, ExitStack() as helpers:
        repository.make(partial)
        shape = volume_archive.ArchiveFormat(partial, request.compression, tuple(keys))
        found = [
            volume_archive.opened(
                stack, helpers, item, volume=volumes[key], key=key, shape=shape
            )
            for item in items
            for key in item.policy.volumes
        ]
        for copying in found:
            volume_archive.measured(copying)
        _check_space(stack, request.dest, found)
        late = _copy(stack, journal, items, found, coherent=request.everything)
        manifest = manifest_writer.manifest(
            stack, found, shape, run=partial.name, coherent=request.everything
        )
        journal.reach("naming")
        final = repository.finish(partial, manifest)
        journal.reach("named")
        repository.note(final, verified=manifest.created)
        if late is not None:
            say(f"the set {manifest.id} is whole and verified")
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
    quiesce.quiesce(stack, journal, items, coherent=coherent)
    journal.reach("copying", ending=[])
    for copying in found:
        volume_archive.copy(copying)
    quiesce.check_rest(stack, items, engine_mark=mark)
    with ExitStack() as readers:

        def begin_rereading() -> None:
            for copying in found:
                readers.enter_context(volume_archive.being_reread(copying))

        late = _let_go(stack, journal, items, begin_rereading)
        for copying in found:
            volume_archive.finish_rereading(copying)
    return late


def _let_go(
    stack: StackContext,
    journal: Journal,
    items: Sequence[StoreBackup],
    meanwhile: Callable[[], None],
) -> UnhealthyError | None:
    """Begin *meanwhile*, start what was stopped, and wait until all is as before."""
    meanwhile()
    for lock in journal.facts.get("locked", ()):
        unlock.unlock(stack, lock)
    stores, dependents = journal.facts["stores"], journal.facts["dependents"]
    service_control.start(stack, stores)
    journal.reach("stores started", locked=[])
    late = _late(stack, stores)
    if late is None:
        quiesce.count(stack, items)
    service_control.start(stack, dependents)
    late = _late(stack, dependents) or late
    journal.reach("resumed", stores=[], dependents=[])
    return late


def _late(
    stack: StackContext, halted: Sequence[StoppedContainer]
) -> UnhealthyError | None:
    """Wait until all of *halted* are healthy; return what one of them lacks."""
    try:
        service_control.wait(stack, halted)
    except UnhealthyError as failed:
        return failed
    return None
