"""Take a backup: quiesce, copy, resume, verify, and only then call it a set."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from compose_ops.backup import (
    destinations,
    encryption,
    helper,
    manifest_writer,
    one_moment,
    places,
    preconditions,
    quiesce,
    recover,
    restore_points,
    service_control,
    undeclared,
    unlock,
    writing,
)
from compose_ops.backup.addresses import Place, RepositoryAddress
from compose_ops.backup.manifest import Manifest
from compose_ops.backup.policy import Policy, choose
from compose_ops.backup.service_control import CLOCK, StoppedContainer
from compose_ops.backup.store_backup import StoreBackup
from compose_ops.backup.writing import NotEverywhere, Writing
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
    some writable mounts; the manifest names these. `new_destination` takes a folder
    that is known to have held sets and holds none.
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
    new_destination: bool = False

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
    preconditions.check_recordable(stack, chosen, datetime.now(UTC))
    keys = encryption.recipients(request.encrypt)
    if stack.dry or len(request.all_places) == 1:
        _require_sets(stack, request, request.dest)
    if stack.dry:
        items = preconditions.items(stack, chosen, request.consistency)
        if request.everything and request.coherent:
            one_moment.check(stack, items)
        for item in items:
            say(f"would back up {_described(item)}")
        return None
    names = {policy.service for policy in chosen}
    concerned = {*names, *service_control.affected_by(stack, names)}
    with exclusive(stack, "invoke backup", services=concerned):
        made = take_locked(stack, request, chosen, keys)
        restore_points.expire(stack, made)
        return made


def _require_sets(stack: StackContext, request: BackupRequest, place: Place) -> None:
    if not request.new_destination:
        destinations.require_sets(stack, place)


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
    if coherent:
        one_moment.check(stack, items)
    left_out = undeclared.listed(stack) if request.everything else ()
    for item in items:
        if item.policy.product:
            say(_described(item))
    writings = [
        Writing(places.opened(stack, place), place) for place in request.all_places
    ]
    writing.stop_what_is_ordered(items, [one.place for one in writings])

    def prepare(one: Writing) -> None:
        _require_sets(stack, request, one.address)
        one.place.prepare()
        one.number = one.place.next_run(stack.project, datetime.now(UTC))

    writing.each(writings, prepare)
    run = writing.next_run(writings)
    for one in writing.whole(writings):
        one.new = one.place.begin(
            run, compression=request.compression, keys=tuple(keys)
        )
    with _settled(stack, run, writings) as journal, ExitStack() as helpers:
        writing.each(writings, lambda one: one.open(helpers, items, volumes))
        writing.each(writings, Writing.measure)
        late, downtime = _copy(stack, journal, items, writings, coherent=coherent)
        made: list[Manifest] = []

        def finish(one: Writing) -> None:
            manifest = manifest_writer.manifest(
                stack,
                one.copies,
                one.set,
                run=run,
                coherent=coherent,
                undeclared=left_out,
                downtime=downtime,
            )
            one.set.finish(manifest)
            made.append(manifest)

        journal.reach("naming")
        writing.each(writings, finish)
        journal.reach("named")
        return _told(made[0], writings, late)


def _told(
    manifest: Manifest, writings: Sequence[Writing], late: UnhealthyError | None
) -> Manifest:
    """Return the set's manifest; raise what is to be told of the set all the same."""
    failed = [one for one in writings if one.fault]
    holders = [one.place.name for one in writing.whole(writings)]
    if late is not None:
        state = "written" if manifest.in_repository else "verified"
        say(f"the set {manifest.id} is complete and {state} in {', '.join(holders)}")
        raise late
    if failed:
        raise NotEverywhere(manifest, holders, failed)
    return manifest


@contextmanager
def _settled(
    stack: StackContext, run: str, writings: Sequence[Writing]
) -> Iterator[Journal]:
    """Whatever happens in the block, what it stopped runs again afterwards."""
    sets = [one.new for one in writings if one.new]
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
    writings: Sequence[Writing],
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
        writing.each(writings, Writing.copy)
    quiesce.check_rest(stack, items, engine_mark=mark)
    with ExitStack() as readers:
        writing.each(writings, lambda one: one.begin_rereading(readers))
        rested = journal.facts.get("stores") or journal.facts.get("dependents")
        late = _resume(stack, journal, items)
        downtime = round(CLOCK.now() - begin, 1) if rested else 0.0
        writing.each(writings, Writing.finish_rereading)
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
