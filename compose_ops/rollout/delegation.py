"""What other tasks hand to the rolling update, so that no replica set goes at once."""

from collections.abc import Callable, Iterable
from functools import partial

from compose_ops.docker.api import Container, Network
from compose_ops.errors import ConfigurationError
from compose_ops.rollout import deployments, journal, policy, recover
from compose_ops.rollout.update import UpdateRequest, perform
from compose_ops.runtime.context import StackContext


def rolled(stack: StackContext, services: Iterable[str]) -> tuple[str, ...]:
    """Return those of *services* that run now and ask for an update one by one."""
    running = {c.service for c in stack.refresh() if c.is_running}
    found = []
    for name in services:
        service = stack.model.service(name)
        traffic = policy.traffic(service)
        served = traffic is None or traffic.gateway in running
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

    *make* makes the image of one first; where the update fails or is refused, the image
    that was there has its tag again. For a caller that holds the lock; raises what
    `rollout.update.update` raises.
    """
    before = deployments.override(deployments.read(stack.state))
    for name in services:
        wish = UpdateRequest(forced=because, make=partial(make, name) if make else None)
        perform(stack, name, wish, timeout=timeout)
    if deployments.override(deployments.read(stack.state)) != before:
        stack.reload()  # or Compose would make anew what has just been proven


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
    gone = {container.service for container in doomed}
    for name in rolled(stack, stack.model.services):
        traffic = policy.traffic(stack.model.service(name))
        if gone & {name, traffic.gateway if traffic else name}:
            changed = ", ".join(network.name for network in networks)
            raise ConfigurationError(
                f"{name} would not be served while {changed} is made anew: its "
                "definition changed",
                hint="invoke down and then invoke up, when nobody needs it; or take "
                "back what changed in .env or the compose files",
            )


def notes(stack: StackContext) -> list[str]:
    """Return one line for each image that an update deployed and that stays."""
    return deployments.read(stack.state).notes()


def pinned(stack: StackContext, service: str) -> str:
    """Return the image that an update deployed of *service*, "" for none."""
    return deployments.read(stack.state).of(service).name


def all_removed(stack: StackContext) -> None:
    """Note that no container of the project is left."""
    if left := journal.read(stack.state):
        recover.abandon(stack.engine, left)
    deployments.forget_names(stack.state)
