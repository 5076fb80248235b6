"""The rolling update of one service, from the plan to the proof."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from compose_ops.console import say
from compose_ops.docker.api import Engine
from compose_ops.errors import ComposeOpsError, ConfigurationError, UsageError
from compose_ops.project.model import Model
from compose_ops.rollout import context, deployments, image_choice, journal, recover
from compose_ops.rollout.commit import DeploymentRecord, recorded, settle
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.executor import carry_out, events_of, require_success
from compose_ops.rollout.image_choice import ImageChoice
from compose_ops.rollout.plan import DesiredState, Plan, plan
from compose_ops.rollout.policy import policy
from compose_ops.rollout.preflight import (
    Shortage,
    check,
    measured,
    probe_of,
    require_possible,
    stopped_on_refusal,
)
from compose_ops.rollout.result import UpdateResult
from compose_ops.rollout.retained_images import released
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.health import Clock
from compose_ops.state.recovery import exclusive

CLOCK = Clock(now=time.monotonic, sleep=time.sleep)


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """
    What the caller wants: an image, a build, or every replica replaced and why.

    `build` returns to what the files say; `make` makes the image of what is deployed.
    """

    image: str = ""
    build: bool = False
    make: Callable[[], None] | None = None
    choice: ImageChoice | None = None
    forced: str = ""
    is_rollback: bool = False


def update(
    stack: StackContext,
    service: str,
    wish: UpdateRequest,
    *,
    timeout: int | None = None,
) -> UpdateResult:
    """
    Replace the containers of *service* as its `update_config` says.

    Raises UsageError, ConfigurationError or UnhealthyError before anything changed;
    RolledBack, with the new container's evidence, when the old version serves again.
    """
    if wish.image and wish.build:
        raise UsageError(
            "--image and --build exclude each other", hint="give one of them"
        )
    stack.begin_hashes()
    shortage = _shortage(stack, service)
    stack.require("rolling-update", services=(service,))
    if not (wish.image or wish.build or wish.choice):
        for line in deployments.read(stack.state).notes(service):
            say(line)
    if stack.dry:
        return _prepared(stack, service, wish, timeout, shortage)
    with (
        exclusive(stack, "invoke rolling-update", services=(service,)),
        released(stack, service, wish.image),
    ):
        return _prepared(stack, service, wish, timeout, shortage)


def perform(
    stack: StackContext,
    service: str,
    wish: UpdateRequest,
    *,
    timeout: int | None = None,
) -> UpdateResult:
    """Do what `update` does, for a caller that has checked and holds the lock."""
    return _prepared(stack, service, wish, timeout, _shortage(stack, service))


def clean_up(stack: StackContext) -> None:
    """
    Put right what a killed update left; does nothing where none did.

    Where the gateway does not run nobody is served, and nothing is waited for there.
    """
    left = journal.read(stack.state)
    if left is None:
        return
    say(f"an update of {left.service} was killed at: {left.step}; cleaning up")
    given = left.record.get("deployment", {}).get("image", "")
    with released(stack, left.service, given), image_choice.own_file(stack):
        engine = image_choice.candidate(stack, left.service, None)
        model = Model(engine.model())
        if left.service not in model.services:
            recover.abandon(engine, left)
            return
        place = context.site(
            stack, model, engine, left.service, limit=None, clock=CLOCK, served=False
        )
        with events_of(place) as events:
            forward, wrong = recover.recover(place, left, events)
        for line in wrong:
            say(line)
        if left.record and len(forward) == left.slots:
            settle(stack, left.service, DeploymentRecord.of_json(left.record))
            stack.reload()
        left.close()


def _shortage(stack: StackContext, service: str, batches: int = 1) -> Shortage:
    """Begin to find out whether so many batches fit beside what runs."""
    described = stack.model.service(service)
    size = policy(described, stack.model.replicas(service)).parallelism
    total = stack.info.memory
    return measured(
        stack.engine, stack.model, total=total, service=service, surge=size * batches
    )


def _prepared(
    stack: StackContext,
    service: str,
    wish: UpdateRequest,
    timeout: int | None,
    shortage: Shortage,
) -> UpdateResult:
    with image_choice.own_file(stack):
        return _performed(stack, service, wish, timeout, shortage)


def _performed(
    stack: StackContext,
    service: str,
    wish: UpdateRequest,
    timeout: int | None,
    shortage: Shortage,
) -> UpdateResult:
    begin = CLOCK.now()
    book = journal.Journal(stack.state / journal.FILE, service, before=[])
    with _tag_returns(stack.engine, book):
        choice = _choice(stack, service, wish, book)
        engine = image_choice.candidate(stack, service, choice)
        # What is deployed stays: that is the model that is known already.
        model = stack.model if choice is None else Model(engine.model())
        place = context.site(stack, model, engine, service, limit=timeout, clock=CLOCK)
        hashes = stack.config_hashes if choice is None else engine.config_hashes()
        planned = _plan(place, model, hashes, service, wish, dry=stack.dry)
        if stack.dry and not planned.is_empty:
            require_possible(model, planned, shortage)
        if stack.dry or planned.is_empty:
            return _unchanged(stack, planned, choice, book, wish)
        probe, spare = probe_of(place), _shortage(stack, service, batches=2)
        is_back = wish.is_rollback
        with stopped_on_refusal(probe):
            judged = check(place, model, planned, probe, shortage)
            name = _name(stack, model, planned)
            if name:
                engine = image_choice.candidate(stack, service, choice, nameless=True)
                place, planned = (
                    replace(place, engine=engine),
                    _renamed(planned, engine),
                )
            record = recorded(
                stack, planned, choice, is_rollback=is_back, nameless=bool(name)
            )
            overlaps = not spare()
    book.record = record.as_json()
    roll, proof = carry_out(
        place,
        planned,
        book,
        probe,
        judged=judged,
        overlaps=overlaps,
        name=name,
        settle=partial(settle, stack, service, record),
    )
    require_success(roll, proof)
    healthy = tuple(round(s, 2) for s in roll.healthy_after.values())
    spent = CLOCK.now() - begin
    return UpdateResult(service, "updated", planned, proof, healthy, spent)


def _unchanged(
    stack: StackContext,
    planned: Plan,
    choice: ImageChoice | None,
    book: journal.Journal,
    wish: UpdateRequest,
) -> UpdateResult:
    """Record what was asked for where nothing has to move for it."""
    service = planned.service
    if stack.dry:
        result = "nothing-to-do" if planned.is_empty else "planned"
        return UpdateResult(service, result, planned, None, (), 0.0)
    record = recorded(stack, planned, choice, is_rollback=wish.is_rollback)
    settle(stack, service, record)
    if book.step:
        book.close()
    return UpdateResult(service, "nothing-to-do", planned, None, (), 0.0)


def _choice(
    stack: StackContext, service: str, wish: UpdateRequest, book: journal.Journal
) -> ImageChoice | None:
    if wish.build:
        files = replace(
            stack, engine=image_choice.candidate(stack, service, ImageChoice())
        )
        _make(files, service, book, partial(image_choice.made, files, service))
        return ImageChoice()
    if wish.make:
        _make(stack, service, book, wish.make)
    if not wish.image:
        return wish.choice
    if stack.dry:
        return image_choice.planned(stack, service, wish.image)
    return image_choice.given(stack, service, wish.image)


def _name(stack: StackContext, model: Model, planned: Plan) -> str:
    """Return the container name that the compose files fix, "" for none."""
    fixed = model.service(planned.service).get("container_name")
    if fixed or not deployments.read(stack.state).of(planned.service).nameless:
        return str(fixed or "")
    return next((slot.old.name for slot in planned.changing if slot.old), "")


def _renamed(planned: Plan, engine: Engine) -> Plan:
    """Return the plan with the hash of what *engine* creates, without a fixed name."""
    found = engine.config_hashes()[planned.service]
    return replace(planned, wanted=replace(planned.wanted, config_hash=found))


@contextmanager
def _tag_returns(engine: Engine, book: journal.Journal) -> Iterator[None]:
    """Give the tag that a build moved back to its image when the update is refused."""
    try:
        yield
    except (ComposeOpsError, KeyboardInterrupt):
        if book.step:
            engine.tag(book.image_id, book.reference)
            book.close()
        raise


def _plan(
    place: UpdateContext,
    model: Model,
    hashes: Mapping[str, str],
    service: str,
    wish: UpdateRequest,
    *,
    dry: bool,
) -> Plan:
    reference = wish.image or image_choice.reference_of(model, service)
    found = place.engine.image(reference)
    forced = wish.forced
    if found is None and dry and wish.image:
        image_choice.require_pullable(place.engine, reference)
        forced = f"image {reference}, which would be pulled first"
    elif found is None:
        raise ConfigurationError(
            f"{service} has no image: {reference} is not here",
            hint=f"invoke rolling-update --service {service} --build makes it",
        )
    replicas = model.replicas(service)
    wanted = DesiredState(
        replicas,
        reference,
        image_id=found.id if found else "",
        config_hash=hashes[service] if found else "",
    )
    return plan(
        service,
        wanted,
        policy(model.service(service), replicas),
        place.containers(),
        admitted_by=place.network,
        forced=forced,
    )


def _make(
    stack: StackContext, service: str, book: journal.Journal, make: Callable[[], None]
) -> None:
    reference = image_choice.reference_of(stack.model, service)
    before = stack.engine.image(reference)
    if stack.dry:
        if stack.model.service(service).get("build"):
            say(f"would build {service} first; the plan is without its result")
        return
    if before:
        book.reference, book.image_id = reference, before.id
        book.note("build")
    make()
