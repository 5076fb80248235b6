"""Carry a plan out from the first step to what stays, or put everything back."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from compose_ops.docker.api import EventStream
from compose_ops.errors import ComposeOpsError, EngineError, RolledBack, UnhealthyError
from compose_ops.rollout import health_gate
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.display import shown
from compose_ops.rollout.journal import Journal
from compose_ops.rollout.plan import Plan
from compose_ops.rollout.revert import undone, uninterrupted
from compose_ops.rollout.statistics import TrafficReport
from compose_ops.rollout.strategies import ReplicaSetUpdate
from compose_ops.rollout.traffic_probe import TrafficProbe


def carry_out(
    place: UpdateContext,
    planned: Plan,
    book: Journal,
    probe: TrafficProbe | None,
    *,
    judged: bool,
    overlaps: bool,
    name: str,
    settle: Callable[[], None],
) -> tuple[ReplicaSetUpdate, TrafficReport | None]:
    """
    Replace what is planned, `settle` what it leaves, and return the proof.

    What the *probe* finds counts where it is *judged*; *overlaps* says that there is
    memory for two batches beside what runs. Raises RolledBack or Interrupted
    when the old containers are back. From the removal of the old ones on it only goes
    forward, and only SIGKILL ends it.
    """
    book.before, book.slots = planned.found, len(planned.changing)
    with events_of(place) as events, shown(planned.service, probe) as note:
        seen = probe if judged else None
        roll = ReplicaSetUpdate(
            place, planned, book, events, seen, note, name, overlaps=overlaps
        )
        if probe:
            probe.mark_change()
        with ExitStack() as end:
            try:
                roll.run()
                end.enter_context(uninterrupted())
            except (ComposeOpsError, KeyboardInterrupt) as error:
                raise undone(roll, probe, error, settle) from error
            proof = probe.stop() if probe else None
            _finish(roll, settle)
    return roll, proof


def require_success(roll: ReplicaSetUpdate, proof: TrafficReport | None) -> None:
    """Raise RolledBack for what stayed old, UnhealthyError for lost requests."""
    service = roll.plan.service
    wrong: ComposeOpsError | None = None
    if roll.failure:
        wrong = RolledBack(
            f"{roll.failed} of {len(roll.plan.changing)} replicas of {service} kept "
            f"the old version: {roll.failure.message}",
            hint=roll.failure.hint,
            detail=roll.failure.detail,
        )
    elif proof and roll.probe and proof.failed:
        wrong = UnhealthyError(
            f"{service} was updated, but not without loss: {proof.line()}",
            hint=f"invoke rollback --service {service} goes back",
            detail="\n".join(proof.failures),
        )
    if wrong:
        wrong.proof = proof
        raise wrong


@contextmanager
def events_of(place: UpdateContext) -> Iterator[EventStream]:
    """Follow what happens to the service's containers."""
    labels = (
        f"label=com.docker.compose.project={place.project}",
        f"label=com.docker.compose.service={place.service}",
    )
    with place.engine.events("type=container", *labels, *health_gate.EVENTS) as stream:
        yield stream


def _finish(roll: ReplicaSetUpdate, settle: Callable[[], None]) -> None:
    """Remove the old containers; where that fails, the journal lets the next task."""
    service = roll.plan.service
    try:
        roll.finish()
        settle()
    except ComposeOpsError as error:
        raise EngineError(
            f"{service} was updated, but not all of the old is removed: "
            f"{error.message}",
            hint=f"invoke rolling-update --service {service} goes on with it",
            detail=error.detail,
        ) from error
    roll.journal.close()
