"""When an update fails: everything back, and what to tell."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from compose_ops.errors import ComposeOpsError, Interrupted, RolledBack, UnhealthyError
from compose_ops.rollout import health_gate, undo
from compose_ops.rollout.statistics import TrafficReport
from compose_ops.rollout.strategies import ReplicaSetUpdate
from compose_ops.rollout.traffic_probe import TrafficProbe


def undone(
    roll: ReplicaSetUpdate,
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
    paused = roll.plan.policy.failure_action == "pause"
    kept = sum(p.proven for p in roll.journal.places) if paused else 0
    with uninterrupted():
        with suppress(ComposeOpsError):
            roll.let_go()
        if isinstance(error, UnhealthyError):
            health_gate.with_evidence(roll.site, roll.new, error)
        roll.say("putting the old version back")
        wrong = _back(roll, settle, paused=paused)
        proof = probe.stop() if probe else None
    found = _error(roll, error, proof, kept=kept, wrong=wrong)
    found.proof = proof
    return found


def _back(
    roll: ReplicaSetUpdate, settle: Callable[[], None], *, paused: bool
) -> list[str]:
    """Return what could not be put back, in words."""
    place, book = roll.site, roll.journal
    kept = [p for p in book.places if p.proven] if paused else []
    back = [p for p in book.places if not (paused and p.proven)]
    try:
        wrong = undo.put_back(place, book, back, roll.events)
        for done in kept:
            undo.finish_proven(place, done)
        if kept:
            settle()
        undo.remove_strays(place, book)
        if book.reference and not kept:
            place.engine.tag(book.image_id, book.reference)
    except ComposeOpsError as broken:
        return [f"{broken.message}; the next update or up cleans up"]
    book.close()
    return wrong


def _error(
    roll: ReplicaSetUpdate,
    error: BaseException,
    proof: TrafficReport | None,
    *,
    kept: int,
    wrong: list[str],
) -> ComposeOpsError:
    seen = f"through the gateway: {proof.line()}" if proof else ""
    state = (
        f"{kept} replicas run the new version, the others the old one (paused)"
        if kept
        else "the old version serves"
    )
    if wrong:
        state = f"and not all is as it was: {'; '.join(wrong)}"
    if isinstance(error, KeyboardInterrupt):
        return Interrupted(
            f"interrupted: {state}", hint="the same command begins again", detail=seen
        )
    cause = error if isinstance(error, ComposeOpsError) else UnhealthyError(str(error))
    return RolledBack(
        f"{roll.plan.service} was not updated, {state}: {cause.message}",
        hint=cause.hint,
        detail="\n".join(filter(None, [cause.detail, seen])),
    )


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let nothing but SIGKILL stop what must come to its end."""
    names = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(name, signal.SIG_IGN) for name in names]
    try:
        yield
    finally:
        for name, handler in zip(names, before, strict=True):
            signal.signal(name, handler)
