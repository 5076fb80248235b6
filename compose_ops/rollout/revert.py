"""When an update fails: put everything back, and say what happened."""

from collections.abc import Callable
from contextlib import suppress

from compose_ops.errors import ComposeOpsError, Interrupted, RolledBack, UnhealthyError
from compose_ops.interrupts import undoing
from compose_ops.rollout import health_gate, undo
from compose_ops.rollout.running_update import RunningUpdate
from compose_ops.rollout.statistics import TrafficReport
from compose_ops.rollout.traffic_probe import TrafficProbe


def revert(
    update: RunningUpdate,
    probe: TrafficProbe | None,
    error: BaseException,
    settle: Callable[[], None],
) -> ComposeOpsError:
    """
    Put everything back; return the error that says what happened.

    Slots that a pause keeps are settled: what they run is deployed for later tasks,
    which go on with the others. Where putting back fails too, the error says so, and
    the journal stays for the next task.
    """
    paused = update.plan.policy.failure_action == "pause"
    done = sum(p.proven for p in update.journal.places) if paused else 0
    with undoing("putting the old version back"):
        with suppress(ComposeOpsError):
            update.wait_drained()
        if isinstance(error, UnhealthyError):
            health_gate.with_evidence(update.context, update.new, error)
        update.report("putting the old version back")
        point_made = update.journal.point_made and any(
            place.started for place in update.journal.places
        )
        with update.recorder.step("put the old version back"):
            wrong = _back(update, settle, paused=paused)
        proof = probe.stop() if probe else None
    returned = point_made and not update.journal.point_made
    found = _error(update, error, proof, done=done, wrong=wrong)
    if returned:
        found.message += "; its data is that from before the update"
    requests = probe.requests if probe else ()
    found.outcome = update.outcome("failed", proof, requests)
    return found


def _back(
    update: RunningUpdate, settle: Callable[[], None], *, paused: bool
) -> list[str]:
    """Return what could not be put back, in words."""
    context, book = update.context, update.journal
    done = [p for p in book.places if p.proven] if paused else []
    back = [p for p in book.places if not (paused and p.proven)]
    try:
        wrong = undo.put_back(context, book, back, update.events)
        for slot in done:
            undo.finish_proven(context, slot)
        if done:
            settle()
        undo.remove_strays(context, book)
        if book.reference and not done:
            context.engine.tag(book.image_id, book.reference)
    except ComposeOpsError as broken:
        return [f"{broken.message}; the next update or up recovers from it"]
    book.close()
    return wrong


def _error(
    update: RunningUpdate,
    error: BaseException,
    proof: TrafficReport | None,
    *,
    done: int,
    wrong: list[str],
) -> ComposeOpsError:
    seen = f"through the gateway: {proof.line()}" if proof else ""
    state = (
        f"{done} replicas run the new version, the others the old one (paused)"
        if done
        else _old_state(update)
    )
    if update.context.api and not update.context.api.is_running:
        state = "the old version is back, but no request reaches it"
    if wrong:
        state = f"and not everything could be put back: {'; '.join(wrong)}"
    if isinstance(error, KeyboardInterrupt):
        return Interrupted(
            f"interrupted: {state}", hint="the same command starts over", detail=seen
        )
    cause = error if isinstance(error, ComposeOpsError) else UnhealthyError(str(error))
    return RolledBack(
        f"{update.plan.service} was not updated, {state}: {cause.message}",
        hint=cause.hint,
        detail="\n".join(filter(None, [cause.detail, seen])),
    )


def _old_state(update: RunningUpdate) -> str:
    """
    Say how the old containers stand that were put back.

    One that was not healthy before is put back without a wait for its health.
    """
    seen = {place.old: place.served for place in update.journal.places}
    old = [slot.old for slot in update.plan.changing if slot.old]
    sick = [c.name for c in old if not seen.get(c.id, c.is_healthy)]
    if not old:
        return "all is as before"
    if not sick:
        return "the old version serves"
    state = "serves" if len(sick) < len(old) else "is back"
    verb = "was" if len(sick) == 1 else "were"
    return f"the old version {state}, but {', '.join(sick)} {verb} not healthy before"
