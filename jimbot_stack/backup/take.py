"""Take a backup: quiesce, copy, let go, prove, and only then call it a set."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jimbot_stack import journal as journals
from jimbot_stack.backup import (
    copies,
    halting,
    helper,
    preconditions,
    previous,
    quiet,
    record,
    releasing,
    sealing,
    sets,
    settle,
)
from jimbot_stack.backup.copies import Copying
from jimbot_stack.backup.halting import Halted
from jimbot_stack.backup.manifest import Manifest
from jimbot_stack.backup.policy import Policy, choose
from jimbot_stack.backup.progress import shows_progress
from jimbot_stack.backup.quiet import Item
from jimbot_stack.change import changing
from jimbot_stack.console import say
from jimbot_stack.errors import UnhealthyError
from jimbot_stack.journal import Journal
from jimbot_stack.stack import Stack


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


def take(stack: Stack, request: Request) -> Manifest | None:
    """
    Take a set and return its manifest; None with `--dry`.

    All checks come before the first change. Raises DataError, ConfigurationError,
    Locked; UnhealthyError, with the set kept, when what ran before does not get
    healthy again. Whatever happens, what ran before runs again.
    """
    chosen = choose(stack.model, request.services, everything=request.everything)
    keys = sealing.recipients(request.encrypt)
    if stack.dry:
        for item in preconditions.items(stack, chosen, request.consistency):
            say(f"would back up {item.policy.service} ({item.level})")
        return None
    with changing(stack, "invoke backup"):
        made = take_locked(stack, request, chosen, keys)
        previous.expire(stack, made)
        return made


def take_locked(
    stack: Stack, request: Request, chosen: Sequence[Policy], keys: Sequence[Any] = ()
) -> Manifest:
    """Take a set while the project's lock is held."""
    helper.require(stack)
    items = preconditions.items(stack, chosen, request.consistency)
    volumes = preconditions.volumes(stack, chosen)
    partial = sets.next_path(request.dest, stack.project, datetime.now(UTC))
    with _settled(stack, partial) as journal, ExitStack() as helpers:
        sets.make(partial)
        shape = copies.Shape(partial, request.compression, tuple(keys))
        found = [
            copies.opened(
                stack, helpers, item, volume=volumes[key], key=key, shape=shape
            )
            for item in items
            for key in item.policy.volumes
        ]
        for copying in found:
            copies.measured(copying)
        _check_space(stack, request.dest, found)
        late = _copy(stack, journal, items, found, coherent=request.everything)
        manifest = record.manifest(
            stack, found, shape, run=partial.name, coherent=request.everything
        )
        journal.reach("naming")
        final = sets.finish(partial, manifest)
        journal.reach("named")
        sets.note(final, verified=manifest.created)
        if late is not None:
            say(f"the set {manifest.id} is whole and verified")
            raise late
        return manifest


def _check_space(stack: Stack, dest: Path, found: Sequence[Copying]) -> None:
    """
    Raise DataError when the set may not fit.

    To weigh every file takes as long as to read a small one: only where it matters.
    """
    ratios = sets.ratios(dest, stack.project)
    if shows_progress() or not preconditions.fits(dest, _occupied(found), {}):
        copies.weighed(found)
    preconditions.check_space(dest, _occupied(found), ratios)


def _occupied(found: Sequence[Copying]) -> dict[str, int]:
    return {copying.key: copying.occupied for copying in found}


@contextmanager
def _settled(stack: Stack, partial: Path) -> Iterator[Journal]:
    """Whatever happens in the block, what it stopped runs again afterwards."""
    run = partial.name.removeprefix(".partial-")
    journal = journals.begin(stack, "backup", run, partial=str(partial))
    try:
        yield journal
    finally:
        settle.undo(stack, journal)


def _copy(
    stack: Stack,
    journal: Journal,
    items: Sequence[Item],
    found: Sequence[Copying],
    *,
    coherent: bool,
) -> UnhealthyError | None:
    """
    Copy while the stores rest; read the copies back while they start again.

    Returns what is not as healthy as before: the copies are no worse for it.
    """
    mark = stack.engine.started()
    quiet.quiesce(stack, journal, items, coherent=coherent)
    journal.reach("copying", ending=[])
    for copying in found:
        copies.copy(copying)
    quiet.check_rest(stack, items, engine_mark=mark)
    with ExitStack() as readers:

        def begin_rereading() -> None:
            for copying in found:
                readers.enter_context(copies.being_reread(copying))

        late = _let_go(stack, journal, items, begin_rereading)
        for copying in found:
            copies.finish_rereading(copying)
    return late


def _let_go(
    stack: Stack,
    journal: Journal,
    items: Sequence[Item],
    meanwhile: Callable[[], None],
) -> UnhealthyError | None:
    """Begin *meanwhile*, start what was stopped, and wait until all is as before."""
    meanwhile()
    for lock in journal.facts.get("locked", ()):
        releasing.unlock(stack, lock)
    stores, dependents = journal.facts["stores"], journal.facts["dependents"]
    halting.start(stack, stores)
    journal.reach("stores started", locked=[])
    late = _late(stack, stores)
    if late is None:
        quiet.count(stack, items)
    halting.start(stack, dependents)
    late = _late(stack, dependents) or late
    journal.reach("resumed", stores=[], dependents=[])
    return late


def _late(stack: Stack, halted: Sequence[Halted]) -> UnhealthyError | None:
    """Wait until all of *halted* are healthy; return what one of them lacks."""
    try:
        halting.wait(stack, halted)
    except UnhealthyError as failed:
        return failed
    return None
