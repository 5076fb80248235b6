"""What other operations delegate to the rolling update: it never stops all replicas."""

from collections.abc import Callable, Collection, Iterable
from functools import partial

from compose_ops.console import say
from compose_ops.docker.api import Container, Network
from compose_ops.errors import ComposeOpsError, ConfigurationError
from compose_ops.rollout import deployments, journal, policy, recover
from compose_ops.rollout.gateway import adoption
from compose_ops.rollout.proxy.haproxy import GatewayFails, GatewayUnfit
from compose_ops.rollout.request import UpdateRequest
from compose_ops.rollout.update import CLOCK, perform
from compose_ops.runtime import contents
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.wait import wait


def rolled(
    stack: StackContext, services: Iterable[str], *, stopped: Collection[str] = ()
) -> tuple[str, ...]:
    """
    Return those of *services* that run and have an `update_config`.

    What leaves its gateway, or is behind it for the first time, has a gap. Those of
    *stopped* are about to be: they count as not running.
    """
    there = (c for c in stack.refresh() if c.service not in stopped)
    containers = [c for c in there if c.is_running]
    running = {c.service for c in containers}
    fronted = {c.service for c in containers if f"{policy.LABEL}alias" in c.labels}
    found = []
    for name in services:
        service = stack.model.service(name)
        traffic = policy.traffic(service)
        served = traffic.gateway in running if traffic else name not in fronted
        if policy.is_rolled(service) and name in running and served:
            found.append(name)
    return tuple(found)


def gateways(stack: StackContext) -> set[str]:
    """Return the services through which requests reach those that are rolled."""
    found = (
        policy.traffic(stack.model.service(name))
        for name in rolled(stack, stack.model.services)
    )
    return {traffic.gateway for traffic in found if traffic}


def update(
    stack: StackContext,
    services: Iterable[str],
    *,
    because: str = "",
    make: Callable[[str], None] | None = None,
    timeout: int | None,
) -> None:
    """
    Make *services* as the model says, or with *because* replace all their replicas.

    *make* builds the image of each first; where the update fails or is refused, its tag
    goes back to the image before. For a caller that holds the lock; raises what
    `rollout.update.update` raises.
    """
    before = deployments.override(deployments.read(stack.state))
    for name in services:
        request = UpdateRequest(
            forced=because, make=partial(make, name) if make else None
        )
        try:
            perform(stack, name, request, timeout=timeout)
            continue
        except (GatewayUnfit, GatewayFails) as refused:
            unfit = refused
        # Outside of the handler: within it a signal is left to the error.
        _recreate_gateway(stack, name, unfit, timeout)
        perform(stack, name, request, timeout=timeout)
    if deployments.override(deployments.read(stack.state)) != before:
        stack.reload()  # or Compose would recreate what has just been proven


def start(
    stack: StackContext, services: Iterable[str], compose: Callable[[], None]
) -> None:
    """Let *compose* start *services*; those of gateways of ours go behind them."""
    adoption.start(stack, services, compose, CLOCK)


def _recreate_gateway(
    stack: StackContext, service: str, unfit: ComposeOpsError, timeout: int | None
) -> None:
    """
    Recreate the gateway of *service* first where the compose files changed it.

    It is what the refused update waits for. Raises *unfit* where it would stay as it
    is.
    """
    settings = policy.traffic(stack.model.service(service))
    if settings is None or not _is_stale(stack, settings.gateway):
        raise unfit
    say(f"{settings.gateway} is recreated before {service}: {unfit.message}")
    begin = CLOCK.now()
    stack.engine.up([settings.gateway], dependencies=False)
    wait(stack, {settings.gateway}, timeout)
    say(f"{settings.gateway} did not serve for {CLOCK.now() - begin:.1f} s at most")


def _is_stale(stack: StackContext, service: str) -> bool:
    """Say whether a container is not as the compose files say now."""
    image = stack.engine.image(stack.model.image_name(service))
    there = [c for c in stack.refresh() if c.service == service]
    judged = contents.judge(contents.look(stack), there)
    return any(
        c.config_hash != stack.config_hashes.get(service, c.config_hash)
        or (image is not None and c.image_id != image.id)
        or (c.id in judged and bool(judged[c.id].replaced))
        for c in there
    )


def refuse_to_cut(
    stack: StackContext, networks: Iterable[Network], doomed: Iterable[Container]
) -> None:
    """
    Raise ConfigurationError where removing *doomed* would leave a service unserved.

    They hold *networks*, whose definition changed. From one mode to another there is
    no way without a gap.
    """
    if stack.started_as is None or stack.started_as.name != stack.mode.name:
        return
    removed = {container.service for container in doomed}
    for name in rolled(stack, stack.model.services):
        traffic = policy.traffic(stack.model.service(name))
        if removed & {name, traffic.gateway if traffic else name}:
            changed = ", ".join(network.name for network in networks)
            raise ConfigurationError(
                f"{name} would not be served while {changed} is recreated: its "
                "definition changed",
                hint="invoke down and then invoke up when a gap is acceptable, or "
                "revert the change in .env or the compose files",
            )


def notes(stack: StackContext) -> list[str]:
    """Return one line for each image that an update deployed and that stays."""
    return deployments.read(stack.state).notes()


def pinned(stack: StackContext, service: str) -> str:
    """Return the image that an update deployed of *service*, "" for none."""
    return deployments.read(stack.state).of(service).name


def all_removed(stack: StackContext) -> None:
    """Forget the interrupted update of a project whose containers were removed."""
    if left := journal.read(stack.state):
        if left.point_made:
            stack.collaborators.store_points.keep(stack, left.service, left.point)
        recover.abandon(stack.engine, left)
    deployments.forget_names(stack.state)
