"""When an update fails: everything back, and what to tell."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from jimbot_stack.errors import Interrupted, RolledBack, StackError, UnhealthyError

from . import undo
from .figures import Proof
from .probe import TrafficProbe
from .roll import Roll


def undone(roll: Roll, probe: TrafficProbe | None, error: BaseException) -> StackError:
    """Put everything back; return the error that says what happened."""
    place, book = roll.site, roll.journal
    paused = roll.plan.policy.failure_action == "pause"
    kept = [p for p in book.places if p.proven] if paused else []
    back = [p for p in book.places if p not in kept]
    with _uninterrupted():
        roll.say("putting the old version back")
        undo.put_back(place, book, back, roll.events)
        for done in kept:
            undo.finish_proven(place, done)
        if book.reference and not kept:
            place.engine.tag(book.image_id, book.reference)
        book.close()
        proof = probe.stop() if probe else None
    found = _error(roll, error, proof, kept=len(kept))
    found.proof = proof
    return found


def _error(
    roll: Roll, error: BaseException, proof: Proof | None, *, kept: int
) -> StackError:
    seen = f"through the gateway: {proof.line()}" if proof else ""
    if isinstance(error, KeyboardInterrupt):
        return Interrupted(
            "interrupted: the old version serves",
            hint="the same command begins again",
            detail=seen,
        )
    cause = error if isinstance(error, StackError) else UnhealthyError(str(error))
    state = (
        f"{kept} replicas run the new version, the others the old one (paused)"
        if kept
        else "the old version serves"
    )
    return RolledBack(
        f"{roll.plan.service} was not updated, {state}: {cause.message}",
        hint=cause.hint,
        detail="\n".join(filter(None, [cause.detail, seen])),
    )


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let nothing but SIGKILL stop what puts the old version back."""
    names = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(name, signal.SIG_IGN) for name in names]
    try:
        yield
    finally:
        for name, handler in zip(names, before, strict=True):
            signal.signal(name, handler)
