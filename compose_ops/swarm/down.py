"""Remove a stack from a Swarm, and return when it is gone."""

import time

from compose_ops.console import say
from compose_ops.errors import EngineError, UsageError
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.health import Clock
from compose_ops.state.recovery import exclusive
from compose_ops.units import seconds

CLOCK = Clock(now=time.monotonic, sleep=time.sleep)
PERIOD = 0.5
DEFAULT_GRACE = 10.0
GRACE_SECONDS = 120.0
"""For the engines to remove networks, after the last container has ended."""


def down(stack: StackContext, *, volumes: bool = False) -> None:
    """
    Remove services, networks, secrets and configs; the data stays on the nodes.

    Docker returns before they are gone, and a deploy meanwhile ends half-way: this
    waits until nothing of it is left. Raises UsageError for *volumes*, which are on the
    nodes, EngineError when something stays.
    """
    if volumes:
        raise UsageError(
            "the volumes of a stack are on its nodes and are not removed from here",
            hint="docker volume rm on the node, when nobody needs the data",
        )
    services = stack.engine.stack_services(stack.project)
    if stack.dry:
        for service in services:
            say(f"would remove {service.name}")
        return
    with exclusive(stack, "invoke down", services=()):
        stack.engine.remove_stack(stack.project)
        _wait_until_gone(stack)


def graces(stack: StackContext) -> list[float]:
    """Return the seconds that each service has to end."""
    services = stack.model.services.values()
    return [seconds(one.get("stop_grace_period"), DEFAULT_GRACE) for one in services]


def _wait_until_gone(stack: StackContext) -> None:
    limit = CLOCK.now() + GRACE_SECONDS + max(graces(stack), default=0.0)
    while left := _left(stack):
        if CLOCK.now() > limit:
            raise EngineError(
                f"{left} of {stack.project} are still there after {GRACE_SECONDS:g} s",
                hint="docker stack ps and docker network ls show them; run this again",
            )
        CLOCK.sleep(PERIOD)


def _left(stack: StackContext) -> str:
    if stack.engine.stack_services(stack.project):
        return "services"
    return "networks" if stack.engine.stack_networks(stack.project) else ""
