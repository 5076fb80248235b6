"""Execute a plan from the first step to what stays, or put everything back."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import (
    AbstractContextManager,
    ExitStack,
    contextmanager,
    nullcontext,
)
from dataclasses import replace

from compose_ops.docker.api import EventStream
from compose_ops.errors import ComposeOpsError, EngineError, RolledBack, UnhealthyError
from compose_ops.interrupts import undoing
from compose_ops.rollout import health_gate
from compose_ops.rollout.answer_counts import counted
from compose_ops.rollout.batch import Batch, slot_state
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.display import displayed
from compose_ops.rollout.journal import Journal
from compose_ops.rollout.plan import Slot
from compose_ops.rollout.preflight import CheckedPlan
from compose_ops.rollout.recording import Recorder
from compose_ops.rollout.result import UpdateResult
from compose_ops.rollout.revert import revert
from compose_ops.rollout.running_update import RunningUpdate
from compose_ops.rollout.strategies import Step, strategy
from compose_ops.rollout.undo import put_back, remove_strays

# The last step shows in the requests after it.
TAIL_SECONDS = 0.3
# Verdicts take no time, and draining goes on beside the steps that follow.
UNRECORDED = ("retire", "the batch is proven")


def execute(
    checked: CheckedPlan,
    journal: Journal,
    *,
    settle: Callable[[], None],
    end: ExitStack,
) -> tuple[RunningUpdate, UpdateResult]:
    """
    Replace what is planned, `settle` what it leaves, and return how it ended.

    Raises RolledBack or Interrupted when the old containers are back. From the removal
    of the old ones on it only goes forward: a signal is held until *end* is closed.
    """
    plan, probe, context = checked.plan, checked.probe, checked.context
    journal.before, journal.slots = plan.found, len(plan.changing)
    now = context.clock.now
    recorder = Recorder(now, probe.begin if probe else now())
    with (
        events_of(context) as events,
        displayed(plan.service, probe, recorder) as report,
        counted(context.proxy, recorder),
    ):
        update = RunningUpdate(
            context,
            plan,
            journal,
            events,
            probe if checked.judged else None,
            report,
            recorder,
            checked.name,
            overlaps=checked.overlaps,
        )
        if probe:
            probe.mark_change()
        try:
            _replace_all(update)
            end.enter_context(undoing("recording the update"))
        except (Exception, KeyboardInterrupt) as error:
            raise revert(update, probe, error, settle) from error
        proof = probe.stop() if probe else None
        _finish(update, settle)
    requests = probe.requests if probe else ()
    return update, update.outcome("updated", proof, requests)


def require_success(update: RunningUpdate, outcome: UpdateResult) -> None:
    """Raise RolledBack for what stayed old, UnhealthyError for lost requests."""
    service, proof = update.plan.service, outcome.proof
    wrong: ComposeOpsError | None = None
    if update.failure:
        wrong = RolledBack(
            f"{update.failed} of {len(update.plan.changing)} replicas of {service} "
            f"kept the old version: {update.failure.message}",
            hint=update.failure.hint,
            detail=update.failure.detail,
        )
    elif proof and update.probe and proof.failed:
        wrong = UnhealthyError(
            f"{service} was updated, but requests were lost: {proof.line()}",
            hint=f"invoke rollback --service {service} returns to the old version",
            detail="\n".join(proof.failures),
        )
    if wrong:
        wrong.outcome = replace(outcome, result="failed")
        raise wrong


@contextmanager
def events_of(context: UpdateContext) -> Iterator[EventStream]:
    """Follow what happens to the service's containers."""
    labels = (
        f"label=com.docker.compose.project={context.project}",
        f"label=com.docker.compose.service={context.service}",
    )
    filters = ("type=container", *labels, *health_gate.EVENTS)
    with context.engine.events(*filters) as stream:
        yield stream


def _replace_all(update: RunningUpdate) -> None:
    """
    Replace all batches.

    Raises the error that ended it when failures exceed the policy's ratio.
    """
    for number, slots in enumerate(update.plan.batches()):
        due = update.verdict + update.plan.policy.delay if number else 0.0
        states = [slot_state(update.context, slot.old) for slot in slots]
        begun = len(update.journal.places)
        update.journal.places += states
        try:
            _replace(Batch(update, states, due))
        except ComposeOpsError as error:
            _tolerate(update, error, slots, begun)
    update.wait_drained()
    _remove_surplus(update)
    update.journal.note("watch the last requests")
    update.wait_until(update.context.clock.now() + TAIL_SECONDS)


def _replace(batch: Batch) -> None:
    update = batch.update
    for step in strategy(update.plan.policy.order).steps(batch):
        for slot in batch.slots if step.mark else ():
            setattr(slot, step.mark, True)
        if step.name:
            update.journal.note(step.name)
        with _recorded(batch, step):
            step.do()


def _recorded(batch: Batch, step: Step) -> AbstractContextManager[None]:
    """Record a step of a batch; its draining records itself, as it goes on aside."""
    if not step.name or step.name in UNRECORDED:
        return nullcontext()
    return batch.update.recorder.step(step.name, batch.names)


def _tolerate(
    update: RunningUpdate, error: ComposeOpsError, slots: Sequence[Slot], begun: int
) -> None:
    """
    Put one batch back and go on where the policy says so; else raise *error*.

    *begun* is how many slots of the journal belong to the batches before.
    """
    states = update.journal.places[begun:]
    for state in states:
        state.failed = True
    if isinstance(error, UnhealthyError):
        new = [state.new for state in states if state.new]
        health_gate.with_evidence(update.context, new, error)
    update.failed += len(slots)
    update.failure = error
    policy = update.plan.policy
    ratio = update.failed / len(update.plan.changing)
    tolerated = ratio <= policy.max_failure_ratio or policy.failure_action == "continue"
    if update.stuck or update.traffic_failure() or not tolerated:
        raise error
    update.report(f"{error.message}: continuing as update_config says")
    for wrong in put_back(update.context, update.journal, states, update.events):
        update.report(wrong)
    remove_strays(update.context, update.journal)
    update.journal.before += [state.new for state in states if state.new]
    del update.journal.places[begun:]
    update.verdict = update.context.clock.now()


def _remove_surplus(update: RunningUpdate) -> None:
    ids = [c.id for c in update.plan.surplus]
    if ids:
        update.journal.note("remove surplus replicas")
        update.retire(ids, [c.name for c in update.plan.surplus])
        update.context.engine.remove(*ids, force=True)


def _finish(update: RunningUpdate, settle: Callable[[], None]) -> None:
    """Remove the old containers; where that fails, the journal lets the next task."""
    update.journal.note("remove the old containers")
    with update.recorder.step("remove the old containers"):
        _remove_old(update, settle)
    update.journal.close()


def _remove_old(update: RunningUpdate, settle: Callable[[], None]) -> None:
    service = update.plan.service
    old = [slot.old for slot in update.journal.places if slot.proven and slot.old]
    engine = update.context.engine
    try:
        there = [c.id for c in map(engine.container, old) if c]
        if there:
            engine.remove(*there, force=True)
        settle()
    except ComposeOpsError as error:
        raise EngineError(
            f"{service} was updated, but not every old container was removed: "
            f"{error.message}",
            hint=f"invoke rolling-update --service {service} removes the rest",
            detail=error.detail,
        ) from error
