"""From a request to the plan: which image, which model, which slots change."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from compose_ops.console import say
from compose_ops.docker.api import Engine
from compose_ops.errors import ComposeOpsError, ConfigurationError
from compose_ops.project.model import Model
from compose_ops.rollout import image_choice
from compose_ops.rollout.context import UpdateContext, update_context
from compose_ops.rollout.journal import Journal
from compose_ops.rollout.plan import DesiredState, Plan, plan, short
from compose_ops.rollout.policy import policy
from compose_ops.rollout.request import ImageChoice, UpdateRequest
from compose_ops.runtime import contents
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.health import Clock


@dataclass(frozen=True, slots=True)
class Preparation:
    """
    A plan, and the model that it brings about; `choice` None keeps what is deployed.

    Nothing has changed so far but the image that was built or pulled.
    """

    context: UpdateContext
    model: Model
    choice: ImageChoice | None
    plan: Plan


def prepare(
    stack: StackContext,
    service: str,
    request: UpdateRequest,
    journal: Journal,
    *,
    timeout: int | None,
    clock: Clock,
) -> Preparation:
    """
    Choose the image, make it where that was asked for, and plan the update.

    Raises ConfigurationError where there is no image, UsageError where nothing runs,
    UnhealthyError where the gateway does not.
    """
    choice = _choose(stack, service, request, journal)
    engine = image_choice.candidate(stack, service, choice)
    # Without a choice the files are those that the stack was opened with.
    model = stack.model if choice is None else image_choice.model_of(stack, engine)
    hashes = stack.config_hashes if choice is None else engine.config_hashes()
    context = update_context(stack, model, engine, service, limit=timeout, clock=clock)
    there = context.containers()
    judged = contents.judge(contents.look(stack), there)
    planned = _plan(
        context,
        model,
        hashes,
        request,
        replaced={id_: one.causes for id_, one in judged.items()},
        dry=stack.dry,
    )
    return Preparation(context, model, choice, planned)


@contextmanager
def tag_returns(engine: Engine, journal: Journal) -> Iterator[None]:
    """Give the tag that a build moved back to its image when the update is refused."""
    try:
        yield
    except (ComposeOpsError, KeyboardInterrupt):
        if journal.step:
            _give_back(engine, journal)
        raise


def _give_back(engine: Engine, journal: Journal) -> None:
    """Let the name mean its image again, and say how the one that was made is had."""
    made = engine.image(journal.reference)
    engine.tag(journal.image_id, journal.reference)
    journal.close()
    if made is not None and made.id != journal.image_id:
        say(
            f"{journal.reference} is the image before again, for docker compose up "
            f"too; --image {short(made.id)} deploys the one that was made"
        )


def _choose(
    stack: StackContext, service: str, request: UpdateRequest, journal: Journal
) -> ImageChoice | None:
    if request.build:
        files = replace(
            stack, engine=image_choice.candidate(stack, service, ImageChoice())
        )
        build = partial(image_choice.made, files, service)
        _make(files, service, journal, build)
        return ImageChoice()
    if request.make:
        _make(stack, service, journal, request.make)
    if not request.image:
        return request.choice
    if stack.dry:
        return image_choice.planned(stack, service, request.image)
    return image_choice.given(stack, service, request.image)


def _make(
    stack: StackContext, service: str, journal: Journal, make: Callable[[], None]
) -> None:
    reference = stack.model.image_name(service)
    before = stack.engine.image(reference)
    if stack.dry:
        if stack.model.service(service).get("build"):
            say(f"would build {service} first; the plan does not include its result")
        return
    if before:
        journal.reference, journal.image_id = reference, before.id
        journal.note("build")
    make()


def _plan(
    context: UpdateContext,
    model: Model,
    hashes: Mapping[str, str],
    request: UpdateRequest,
    *,
    replaced: Mapping[str, Sequence[str]],
    dry: bool,
) -> Plan:
    service = context.service
    reference = request.image or model.image_name(service)
    found = context.engine.image(reference)
    forced = request.forced
    if found is None and dry and request.image:
        image_choice.require_pullable(context.engine, reference)
        forced = f"image {reference}, which would be pulled first"
    elif found is None:
        raise ConfigurationError(
            f"image not found: {reference}, which {service} needs",
            hint=f"invoke rolling-update --service {service} --build makes it",
        )
    replicas = model.replicas(service)
    desired = DesiredState(
        replicas,
        reference,
        image_id=found.id if found else "",
        config_hash=hashes.get(service, "") if found else "",
    )
    return plan(
        service,
        desired,
        policy(model.service(service), replicas),
        context.containers(),
        admitted_by=context.network,
        forced=forced,
        fronted_on=_fronted_on(context),
        replaced=replaced,
    )


def _fronted_on(context: UpdateContext) -> tuple[str, ...]:
    """Return the networks where the service's name is the gateway's."""
    if context.traffic is None or not context.traffic.alias:
        return ()
    gateway = context.engine.container(context.gateway)
    networks = gateway.networks if gateway else ()
    return tuple(name for name in networks if name != context.network)
