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
    places,
    preconditions,
    quiesce,
    recover,
    repository,
    restore_points,
    service_control,
    undeclared,
    unlock,
    volume_backup,
)
from compose_ops.backup.addresses import Place, RepositoryAddress
from compose_ops.backup.destination import Destination, NewSet
from compose_ops.backup.manifest import Manifest
from compose_ops.backup.policy import Policy, choose
from compose_ops.backup.service_control import CLOCK, StoppedContainer
from compose_ops.backup.store_backup import StoreBackup
from compose_ops.backup.volume_backup import VolumeBackup
from compose_ops.console import say
from compose_ops.errors import UnhealthyError, UsageError
from compose_ops.interrupts import undoing
from compose_ops.runtime.context import StackContext
from compose_ops.state import journal as journals
from compose_ops.state.journal import Journal
from compose_ops.state.recovery import exclusive


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """
    What `backup` was asked for; `dest` is absolute, as `others` are.

    All of them get the same set, of one copy of time.

    With `everything` and `coherent` what depends on the stores rests for the copy: the
    set is of one moment. `allow_undeclared` takes all stores although nobody declares
    some writable mounts; the manifest names these.
    """

    services: Sequence[str] = ()
    everything: bool = False
    dest: Place = Path("backups")
    others: Sequence[Place] = ()
    consistency: str = ""
    gzip: bool = False
    encrypt: Sequence[str] = ()
    coherent: bool = True
    allow_undeclared: bool = False

    @property
    def all_places(self) -> tuple[Place, ...]:
        return tuple(dict.fromkeys((self.dest, *self.others)))

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
    _check_kinds(request)
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


def _check_kinds(request: BackupRequest) -> None:
    """Refuse what a repository does in its own way. UsageError."""
    flag = "--encrypt" if request.encrypt else "--gzip" if request.gzip else ""
    for place in request.all_places:
        if flag and isinstance(place, RepositoryAddress):
            raise UsageError(
                f"{flag} is not for the repository {place}: restic compresses and "
                "encrypts what it keeps",
                hint=f"leave out {flag}, or name a folder with --dest",
            )


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
    destinations = [places.opened(stack, place) for place in request.all_places]
    _stop_what_is_ordered(items, destinations)
    for place in destinations:
        place.prepare()
    run = _next_run(stack, destinations)
    sets = [
        place.begin(run, compression=request.compression, keys=tuple(keys))
        for place in destinations
    ]
    with _settled(stack, run, sets) as journal, ExitStack() as helpers:
        for new in sets:
            new.make()
        copies = [
            [
                new.opened(helpers, item, mount=mount, volume=volumes[mount.key])
                for item in items
                for mount in item.policy.mounts
            ]
            for new in sets
        ]
        for new, found in zip(sets, copies, strict=True):
            for copying in found:
                volume_backup.measured(copying)
            new.check_space(found)
        every = [copying for found in copies for copying in found]
        late, downtime = _copy(stack, journal, items, every, coherent=coherent)
        made = [
            manifest_writer.manifest(
                stack,
                found,
                new,
                run=run,
                coherent=coherent,
                undeclared=left_out,
                downtime=downtime,
            )
            for new, found in zip(sets, copies, strict=True)
        ]
        journal.reach("naming")
        for new, manifest in zip(sets, made, strict=True):
            new.finish(manifest)
        journal.reach("named")
        manifest = made[0]
        if late is not None:
            say(f"the set {manifest.id} is complete and verified")
            raise late
        return manifest


def _next_run(stack: StackContext, destinations: Sequence[Destination]) -> str:
    """Return the id of the next set: its number is new at every destination."""
    now = datetime.now(UTC)
    found = [place.next_run(stack.project, now) for place in destinations]
    return max(found, key=repository.number_of)


def _stop_what_is_ordered(
    items: Sequence[StoreBackup], destinations: Sequence[Destination]
) -> None:
    """
    Let stores be stopped that a repository cannot take while they run.

    restic reads in an order of its own, and nothing may be read after a session.
    UsageError where that was ruled out.
    """
    kept = [place.name for place in destinations if not place.keeps_order]
    for item in items:
        policy = item.policy
        if item.level != "native" or not (kept and (policy.session or policy.order)):
            continue
        if item.forced or "stop" not in policy.levels:
            raise UsageError(
                f"{policy.service} cannot be copied to {kept[0]} while it runs: its "
                "files are read in an order, which restic does not keep",
                hint="--consistency stop stops it for the copy",
            )
        say(f"{policy.service} is stopped for the copy: restic keeps no order of files")
        item.level = "stop"


@contextmanager
def _settled(
    stack: StackContext, run: str, sets: Sequence[NewSet]
) -> Iterator[Journal]:
    """Whatever happens in the block, what it stopped runs again afterwards."""
    partials = [str(new.partial) for new in sets if new.partial]
    journal = journals.begin(stack, "backup", run, partials=partials)
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
) -> tuple[UnhealthyError | None, float]:
    """
    Copy while the stores rest; read the copies back while they start again.

    Returns what is not as healthy as before, for which the copies are no worse, and for
    how many seconds services were stopped or paused: until all were healthy again.
    """
    mark, begin = stack.engine.boot_id(), CLOCK.now()
    with ExitStack() as sessions:
        quiesce.quiesce(stack, journal, items, sessions, coherent=coherent)
        journal.reach("copying", ending=[])
        for copying in found:
            volume_backup.copy(copying)
    quiesce.check_rest(stack, items, engine_mark=mark)
    with ExitStack() as readers:
        for copying in found:
            readers.enter_context(copying.being_reread())
        rested = journal.facts.get("stores") or journal.facts.get("dependents")
        late = _resume(stack, journal, items)
        downtime = round(CLOCK.now() - begin, 1) if rested else 0.0
        for copying in found:
            copying.finish_rereading()
    return late, downtime


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
    for item in items:
        if item.stopped is not None:
            item.downtime = round(service_control.CLOCK.now() - item.stopped, 3)
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
