"""End a restore: bring the previous data back, or finish what was committed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from compose_ops.backup import data_mounts, helper, restore_points, service_control
from compose_ops.backup.helper import Helper, HelperJob
from compose_ops.backup.restore_points import RestorePoint
from compose_ops.runtime.context import StackContext
from compose_ops.state import journal as journals
from compose_ops.state.journal import Journal


def undo(stack: StackContext, journal: Journal) -> None:
    """
    End a restore that died or failed. Can be repeated.

    Once it was committed the restored data stays; before that every volume gets its
    previous data back. Then what ran before runs again, and nothing else.
    """
    facts = journal.facts
    remove_strays = partial(helper.remove_strays, stack, facts["run"])
    if facts.get("committed"):
        _end(stack, journal, remove_strays, partial(_tidy_up, stack, journal))
    elif not facts.get("touched"):
        _end(stack, journal, remove_strays)
    else:
        # No data is moved beside a helper that may be at work on it.
        remove_strays()
        _give_all_back(stack, journal)
        _end(stack, journal)


def finish(stack: StackContext, journal: Journal) -> None:
    """Tidy up after a committed restore, and let run what ran before."""
    _end(stack, journal, partial(_tidy_up, stack, journal))


def _end(stack: StackContext, journal: Journal, *before: Callable[[], object]) -> None:
    """Let run what ran before, whatever fails first; the journal stays then."""
    service_control.try_all((*before, partial(_resume, stack, journal)))
    journal.close()


def _tidy_up(stack: StackContext, journal: Journal) -> None:
    """Keep what was moved aside as a restore point, and drop what nobody needs."""
    facts = journal.facts
    kept = []
    for volume in facts["volumes"]:
        if not data_mounts.exists(stack, volume):
            continue
        with at_volume(stack, journal, volume) as talk:
            if talk.ask("commit", restore=facts["run"])["kept"]:
                kept.append(volume)
            if facts.get("earlier"):
                talk.ask("discard", restore=facts["earlier"])
        journals.reached(f"after committing {volume}")
    if kept:
        restore_points.add(stack, _entry(facts, kept))
    if facts.get("earlier"):
        restore_points.forget(stack, facts["earlier"], facts["services"])


def _entry(facts: dict[str, Any], kept: list[str]) -> RestorePoint:
    return RestorePoint(
        restore=facts["run"],
        services=tuple(facts["services"]),
        volumes=tuple(kept),
        moved=facts.get("moved") or datetime.now(UTC).isoformat(timespec="seconds"),
        counts=facts.get("counts") or {},
    )


@contextmanager
def at_volume(stack: StackContext, journal: Journal, volume: str) -> Iterator[Helper]:
    """Start a helper that may change one volume of the restore."""
    work = HelperJob(
        run=journal.facts["run"], label=volume, volume=volume, changes=True
    )
    with helper.helper(stack, work) as talk:
        yield talk


def _halt_stores(stack: StackContext, journal: Journal) -> None:
    services = journal.facts["services"]
    holding = service_control.running_of(
        stack.refresh(), services, service_control.HOLDING
    )
    stores = service_control.to_stop(holding)
    service_control.stop(stack, journal, stores, undoes=True)


def _give_all_back(stack: StackContext, journal: Journal) -> None:
    _halt_stores(stack, journal)
    for volume in journal.facts["volumes"]:
        if data_mounts.exists(stack, volume):
            _give_back(stack, journal, volume)


def _give_back(stack: StackContext, journal: Journal, volume: str) -> None:
    facts = journal.facts
    with at_volume(stack, journal, volume) as talk:
        # A start that was interrupted may have come to its end only now.
        _halt_stores(stack, journal)
        talk.ask("swap out", restore=facts["run"])
        if facts.get("earlier"):
            talk.ask("release", restore=facts["run"], earlier=facts["earlier"])
        else:
            talk.ask("discard", restore=facts["run"])
    journals.reached(f"after giving back {volume}")


def _resume(stack: StackContext, journal: Journal) -> None:
    """Start what ran before the restore; stop a store that did not."""
    facts = journal.facts
    before = {c.service for c in service_control.from_facts(facts, "stores")}
    idle = [s for s in facts["services"] if s not in before]
    if facts.get("touched"):
        holding = service_control.running_of(
            stack.refresh(), idle, service_control.HOLDING
        )
        stores = service_control.to_stop(holding)
        service_control.stop(stack, journal, stores, undoes=True)
    service_control.resume(stack, facts)
