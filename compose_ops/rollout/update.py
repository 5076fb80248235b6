"""The rolling update of one service, from the plan to the proof."""

import time
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial

from compose_ops.console import say
from compose_ops.docker.api import Engine
from compose_ops.errors import UsageError
from compose_ops.project.model import Model
from compose_ops.rollout import (
    before,
    deployments,
    image_choice,
    journal,
    preflight,
    recover,
)
from compose_ops.rollout.commit import DeploymentRecord, recorded, settle
from compose_ops.rollout.context import update_context
from compose_ops.rollout.executor import events_of, execute, require_success
from compose_ops.rollout.plan import Plan
from compose_ops.rollout.policy import policy
from compose_ops.rollout.preflight import CheckedPlan, Shortage
from compose_ops.rollout.prepare import Preparation, prepare, tag_returns
from compose_ops.rollout.request import UpdateRequest
from compose_ops.rollout.result import UpdateResult
from compose_ops.rollout.retained_images import released
from compose_ops.rollout.store_update import (
    name_jump,
    require_consistent,
    restore_point,
)
from compose_ops.runtime import contents
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.followers import followed, running_followers
from compose_ops.runtime.health import Clock
from compose_ops.state.recovery import exclusive

__all__ = ["CLOCK", "UpdateRequest", "clean_up", "perform", "update"]

CLOCK = Clock(now=time.monotonic, sleep=time.sleep)


def update(
    stack: StackContext,
    service: str,
    request: UpdateRequest,
    *,
    timeout: int | None = None,
) -> UpdateResult:
    """
    Replace the containers of *service* as its `update_config` says.

    *timeout* is how many seconds a new container may take to become healthy; None is as
    long as its health check may take. Raises UsageError, ConfigurationError or
    UnhealthyError before anything changed; RolledBack, with the new container's
    evidence, when the old version is back.

    >>> update(stack, "app", UpdateRequest(image="app:2")).result
    'updated'
    """
    if request.image and request.build:
        raise UsageError(
            "--image and --build exclude each other", hint="give one of them"
        )
    require_consistent(stack, service, request)
    stack.begin_hashes()
    shortage = _shortage(stack, service)
    stack.require("rolling-update", services=(service,))
    if not (request.image or request.build or request.choice):
        for line in deployments.read(stack.state).notes(service):
            say(line)
    if stack.dry:
        return _update(stack, service, request, timeout, shortage)
    with (
        exclusive(stack, "invoke rolling-update", services=(service,)),
        released(stack, service, request.image),
    ):
        return _update(stack, service, request, timeout, shortage)


def perform(
    stack: StackContext,
    service: str,
    request: UpdateRequest,
    *,
    timeout: int | None = None,
) -> UpdateResult:
    """Do what `update` does, for a caller that has checked and holds the lock."""
    return _update(stack, service, request, timeout, _shortage(stack, service))


def clean_up(stack: StackContext) -> None:
    """
    Put right what a killed update left; does nothing where none did.

    Where the gateway does not run nobody is served, and nothing is waited for there.
    """
    left = journal.read(stack.state)
    if left is None:
        return
    say(f"an update of {left.service} was killed at the step '{left.step}': recovering")
    deployed = left.record.get("deployment", {}).get("image", "")
    with (
        released(stack, left.service, deployed),
        image_choice.own_file(stack),
        followed(stack, [left.service], None, ran=left.followers),
    ):
        engine = image_choice.candidate(stack, left.service, None)
        model = image_choice.model_of(stack, engine)
        if left.service not in model.services:
            recover.abandon(engine, left)
            return
        context = update_context(
            stack, model, engine, left.service, limit=None, clock=CLOCK, served=False
        )
        with closing(context.helpers), events_of(context) as events:
            forward, wrong = recover.recover(context, left, events)
        for line in wrong:
            say(line)
        if left.record and len(forward) == left.slots:
            _settle(stack, left, DeploymentRecord.of_json(left.record))
            stack.reload()
        elif left.point_made:
            stack.collaborators.store_points.keep(stack, left.service, left.point)
        left.close()


def _update(
    stack: StackContext,
    service: str,
    request: UpdateRequest,
    timeout: int | None,
    shortage: Shortage,
) -> UpdateResult:
    """Prepare, check, execute."""
    begin = CLOCK.now()
    book = journal.Journal(stack.state / journal.FILE, service, before=[])
    with image_choice.own_file(stack), ExitStack() as end:
        with tag_returns(stack.engine, book):
            prepared = prepare(
                stack, service, request, book, timeout=timeout, clock=CLOCK
            )
            end.callback(prepared.context.helpers.close)
            if stack.dry or prepared.plan.is_empty:
                return _unchanged(stack, prepared, book, request, shortage)
            checked, record = _check(stack, prepared, request, shortage)
            _before(stack, prepared, checked, request)
        book.record = record.as_json()
        book.point = checked.point
        book.followers = running_followers(stack, service)
        with contents.remembered(stack), followed(stack, [service], timeout):
            done, outcome = execute(
                checked, book, settle=partial(_settle, stack, book, record), end=end
            )
    outcome = replace(outcome, seconds=CLOCK.now() - begin)
    require_success(done, outcome)
    return outcome


def _before(
    stack: StackContext,
    prepared: Preparation,
    checked: CheckedPlan,
    request: UpdateRequest,
) -> None:
    """Run the command that a new version begins with; a rollback is none."""
    plan = checked.plan
    command = () if request.is_rollback else before.of(prepared.model, plan)
    if command:
        with preflight.stopped_on_refusal(checked.probe):
            before.run(checked.context.engine, stack.project, plan.service, command)


def _check(
    stack: StackContext,
    prepared: Preparation,
    request: UpdateRequest,
    shortage: Shortage,
) -> tuple[CheckedPlan, DeploymentRecord]:
    """Refuse what cannot work; return what is executed, and what it will leave."""
    context, plan = prepared.context, prepared.plan
    probe = preflight.probe_of(context)
    spare = _shortage(stack, plan.service, batches=2)
    with preflight.stopped_on_refusal(probe):
        judged = preflight.check(context, prepared.model, plan, probe, shortage)
        name = _fixed_name(stack, prepared.model, plan)
        if name:
            engine = image_choice.candidate(
                stack, plan.service, prepared.choice, nameless=True
            )
            context, plan = replace(context, engine=engine), _without_name(plan, engine)
        record = recorded(
            stack,
            plan,
            prepared.choice,
            is_rollback=request.is_rollback,
            nameless=bool(name),
        )
        overlaps = not spare()
        name_jump(stack, plan, prepared.choice.name if prepared.choice else "")
        point = restore_point(stack, plan, request)
    return CheckedPlan(context, plan, probe, judged, overlaps, name, point), record


def _settle(
    stack: StackContext, book: journal.Journal, record: DeploymentRecord
) -> None:
    """Write down what is deployed, and the restore point that it leaves."""
    settle(stack, book.service, record)
    if book.point_made:
        stack.collaborators.store_points.keep(stack, book.service, book.point)


def _unchanged(
    stack: StackContext,
    prepared: Preparation,
    book: journal.Journal,
    request: UpdateRequest,
    shortage: Shortage,
) -> UpdateResult:
    """Return the plan; record what was asked for where nothing has to move for it."""
    plan = prepared.plan
    result = "nothing-to-do" if plan.is_empty else "planned"
    if stack.dry:
        if not plan.is_empty:
            preflight.require_named_volumes(stack.containers, plan.service)
            preflight.require_possible(prepared.model, plan, shortage)
            name_jump(stack, plan, prepared.choice.name if prepared.choice else "")
            restore_point(stack, plan, request)
        return UpdateResult(plan.service, result, plan, None, (), 0.0)
    record = recorded(stack, plan, prepared.choice, is_rollback=request.is_rollback)
    settle(stack, plan.service, record)
    if book.step:
        book.close()
    return UpdateResult(plan.service, result, plan, None, (), 0.0)


def _shortage(stack: StackContext, service: str, batches: int = 1) -> Shortage:
    """Begin to find out whether so many batches fit beside what runs."""
    described = stack.model.service(service)
    size = policy(described, stack.model.replicas(service)).parallelism
    total = stack.info.memory
    return preflight.measured(
        stack.engine, stack.model, total=total, service=service, surge=size * batches
    )


def _fixed_name(stack: StackContext, model: Model, plan: Plan) -> str:
    """Return the container name that the compose files fix, "" for none."""
    fixed = model.service(plan.service).get("container_name")
    if fixed or not deployments.read(stack.state).of(plan.service).nameless:
        return str(fixed or "")
    return next((slot.old.name for slot in plan.changing if slot.old), "")


def _without_name(plan: Plan, engine: Engine) -> Plan:
    """Return the plan with the hash of what *engine* creates, without a fixed name."""
    found = engine.config_hashes().get(plan.service, "")
    return replace(plan, wanted=replace(plan.wanted, config_hash=found))
