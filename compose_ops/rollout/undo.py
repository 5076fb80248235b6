"""Back to the old containers, after a failure or a run that was killed."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto

from compose_ops.console import say
from compose_ops.docker.api import EventStream
from compose_ops.errors import (
    ComposeOpsError,
    DataError,
    EngineUnavailable,
    UnhealthyError,
)
from compose_ops.rollout import health_gate, steps
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.journal import Journal, SlotState
from compose_ops.rollout.policy import drain_signal


def put_back(
    context: UpdateContext,
    journal: Journal,
    slots: Sequence[SlotState],
    events: EventStream,
) -> list[str]:
    """
    Make the old containers of *slots* serve again, and remove the new ones.

    Returns what could not be put back, in words. An engine that does not answer raises,
    and so does data that cannot be brought back: no version starts on it then.
    """
    undos = [_Undo(context, journal, s, events, was_proven=s.proven) for s in slots]
    for slot in slots:
        slot.proven = False
    journal.note_undoing("put back")
    wrong = []
    for undo in undos if journal.point else ():
        # All that writes to the data has ended before it is brought back.
        if _stand(undo) is _Stand.OLD_STOPPED_FIRST:
            _evict_new(undo)
    for undo in reversed(undos):
        try:
            for action in ACTIONS[_stand(undo)]:
                action(undo)
        except (DataError, EngineUnavailable):
            raise
        except ComposeOpsError as error:
            wrong.append(error.message)
    return wrong


def remove_strays(context: UpdateContext, journal: Journal) -> None:
    """Remove what a step that did not end created, and so did not note."""
    there = {c.id for c in context.containers()}
    # Where none of what it knew is left, others were at work since.
    if journal.known & there:
        steps.evict(context, sorted(there - journal.known))


def finish_proven(context: UpdateContext, slot: SlotState) -> None:
    """Retire and remove the old container of a slot whose new one was proven."""
    old = context.engine.container(slot.old) if slot.old else None
    if old is None:
        return
    if old.is_running:
        # What still holds it had longer than its drain timeout.
        with suppress(UnhealthyError):
            steps.retire(context, [old.id])
        context.engine.stop(old.id)
    context.engine.remove(old.id, force=True)


@dataclass(frozen=True, slots=True)
class _Undo:
    """One slot that goes back; `was_proven` is what it was before it began to."""

    context: UpdateContext
    journal: Journal
    slot: SlotState
    events: EventStream
    was_proven: bool


class _Stand(Enum):
    """How a slot stands, as far as its way back depends on that."""

    OLD_MISSING = auto()
    OLD_SERVES = auto()
    OLD_RETIRED = auto()
    OLD_STOPPED_FIRST = auto()


def _stand(undo: _Undo) -> _Stand:
    slot = undo.slot
    if slot.old and undo.context.engine.container(slot.old) is None:
        return _Stand.OLD_MISSING
    if not (slot.old and slot.touched):
        return _Stand.OLD_SERVES
    # What a gateway serves may run twice, but for what has data.
    side_by_side = undo.context.traffic is not None and not undo.journal.point
    return _Stand.OLD_RETIRED if side_by_side else _Stand.OLD_STOPPED_FIRST


def _refuse(undo: _Undo) -> None:
    raise UnhealthyError(
        f"the old container {undo.slot.name} does not exist any more: the new one stays"
    )


def _evict_new(undo: _Undo) -> None:
    slot = undo.slot
    if slot.new:
        steps.evict(undo.context, [slot.new], trusted=not slot.failed)
    slot.new = ""
    undo.journal.note_undoing("the new container is removed")


def _bring_data_back(undo: _Undo) -> None:
    """Put the data in place that the restore point has; once, for all slots."""
    journal, data = undo.journal, undo.context.data
    changed = journal.point_made and any(slot.started for slot in journal.places)
    if data and changed:
        data.bring_back(journal.point)
    elif data and journal.point:
        with suppress(ComposeOpsError):
            data.drop(journal.point)
    journal.point, journal.point_made = "", False
    if changed:
        _note_or_forget(journal, "the data is as before")
    else:
        journal.note_undoing("the data is as before")


def _note_or_forget(journal: Journal, step: str) -> None:
    """Note what must not be repeated; without room for that, forget the update."""
    try:
        journal.note(step)
    except ComposeOpsError as refused:
        # The next task would replace what the old version writes from now on.
        say(f"warning: {refused.message}; the undo goes on")
        journal.close()


def _return_old(undo: _Undo) -> None:
    """Make the old container serve again, or keep a proven new one in its place."""
    slot = undo.slot
    try:
        _serve_again(undo)
    except EngineUnavailable:
        raise
    except ComposeOpsError:
        # A proven container of the new version is better than a replica less.
        if undo.was_proven and slot.new:
            steps.evict(undo.context, [slot.old])
        else:
            _evict_new(undo)
        undo.journal.note_undoing("the old container does not serve again")
        raise
    slot.touched = False
    undo.journal.note_undoing("the old container serves again")


ACTIONS: dict[_Stand, tuple[Callable[[_Undo], None], ...]] = {
    _Stand.OLD_MISSING: (_refuse,),
    _Stand.OLD_SERVES: (_evict_new,),
    # The old one is admitted before the new one goes,
    _Stand.OLD_RETIRED: (_return_old, _evict_new),
    # unless the two may not run at once.
    _Stand.OLD_STOPPED_FIRST: (_evict_new, _bring_data_back, _return_old),
}


def _serve_again(undo: _Undo) -> None:
    context, slot = undo.context, undo.slot
    old = context.container(slot.old)
    signalled = context.traffic is None or bool(drain_signal(old, context.traffic))
    if old.is_running and not signalled:
        steps.set_restart(context, old.id, slot.restart)
    else:
        addresses = context.addresses([old.id]) if old.is_running else []
        if addresses and context.proxy:
            context.proxy.wait_released(addresses, context.drain_timeout)
        steps.restart_apart(context, slot)
        if slot.served:
            health_gate.wait_healthy(context, [slot.old], undo.events, version="old")
    gateway_runs = context.api is None or context.api.is_running
    if slot.served and gateway_runs:
        steps.admit(context, [slot.old])
    elif slot.attached:
        steps.attach(context, [slot.old])
        if context.proxy and gateway_runs:
            context.proxy.end_drain(context.addresses([slot.old]))
