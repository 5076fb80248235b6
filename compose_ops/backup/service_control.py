"""Stop, pause and start services for as long as their data is taken or replaced."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from compose_ops.backup import data_mounts
from compose_ops.backup.unlock import moment, unlock
from compose_ops.console import health_progress, say
from compose_ops.docker.api import Container
from compose_ops.errors import ComposeOpsError, UnhealthyError
from compose_ops.runtime import health
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.health import Clock
from compose_ops.state.journal import Journal

CLOCK = Clock(now=time.monotonic, sleep=time.sleep)

# A store is away until it is seen to be back; a look takes 3 ms.
LOOK_PERIOD = 0.1
LIVING = frozenset({"running", "restarting"})
# A paused one writes nothing, but goes on with its files as it knew them.
HOLDING = LIVING | {"paused"}

# {"id", "name", "service", "paused", "started"}: as a journal keeps it
StoppedContainer = dict[str, Any]


def as_halted(containers: Iterable[Container]) -> list[StoppedContainer]:
    return [
        {
            "id": c.id,
            "name": c.name,
            "service": c.service,
            "paused": c.state == "paused",
            "started": moment(c),
        }
        for c in containers
    ]


def running_of(
    containers: Sequence[Container],
    services: Iterable[str],
    states: frozenset[str] = LIVING,
) -> list[Container]:
    """
    Return the containers of *services* that live, in the order of *services*.

    One that restarts again and again lives, too: it writes each time.
    """
    return [
        c
        for name in services
        for c in containers
        if c.service == name and c.state in states
    ]


def users_of(stack: StackContext, source: str) -> list[Container]:
    """Return the containers of any project that hold a source open for writing."""
    return data_mounts.users_of(stack, source, HOLDING)


def dependents_of(stack: StackContext, services: Iterable[str]) -> tuple[str, ...]:
    """Return what depends on *services*, the furthest away first."""
    chosen = tuple(services)
    found = {d for name in chosen for d in stack.model.dependents(name)} - set(chosen)
    return tuple(sorted(found, key=lambda name: -len(stack.model.dependencies([name]))))


def stop(
    stack: StackContext, journal: Journal, halted: Sequence[StoppedContainer]
) -> None:
    """
    Stop each in turn with its own grace period.

    The journal says of which that was begun: the engine goes on with it when the task
    dies, and what is still running then may end at any moment.
    """
    for container in halted:
        say(f"stopping {container['name']}")
        ending = [*journal.facts.get("ending", ()), container]
        journal.reach(f"stopping {container['name']}", ending=ending)
        if container.get("paused"):
            stack.engine.unpause(container["id"])
        stack.engine.stop(container["id"])


def start(stack: StackContext, halted: Sequence[StoppedContainer]) -> None:
    """
    Start what was stopped, the last first; what is gone by now is made anew.

    So what others depend on runs before they do.
    """
    for container in reversed(halted):
        there = stack.engine.container(container["id"])
        if there is None:
            stack.engine.up(
                [container["service"]], dependencies=False, recreate="never"
            )
        elif there.state == "paused":
            stack.engine.unpause(there.id)
        elif not there.is_running:
            say(f"starting {container['name']}")
            stack.engine.start(there.id)


def wait(
    stack: StackContext,
    halted: Sequence[StoppedContainer],
    *,
    timeout: float | None = None,
    since: datetime | None = None,
) -> None:
    """
    Return when each is healthy again; UnhealthyError with its evidence.

    A failed probe that began before *since* says nothing: the pause may have failed it.
    """
    if not halted:
        return
    expected: dict[str, int] = {}
    for container in halted:
        expected[container["service"]] = expected.get(container["service"], 0) + 1
    limit = stack.model.patience(expected) if timeout is None else timeout
    try:
        with health_progress() as report:
            health.wait_until_healthy(
                lambda: [_judged_since(c, since) for c in stack.refresh()],
                expected=expected,
                timeout=limit,
                clock=CLOCK,
                report=report,
                period=LOOK_PERIOD,
            )
    except UnhealthyError as failed:
        failed.detail = failed.detail or _evidence(stack, expected)
        raise


def _judged_since(container: Container, since: datetime | None) -> Container:
    """Take a container that only an old probe calls unhealthy as not judged yet."""
    last = container.probes[-1].start if container.probes else None
    if since and last and last < since and container.health == "unhealthy":
        return replace(container, health="starting")
    return container


def _evidence(stack: StackContext, services: Iterable[str]) -> str:
    failed = [
        c
        for c in stack.refresh()
        if c.service in set(services) and health.verdict(c) != "healthy"
    ]
    return "\n".join(health.evidence(stack.engine, c) for c in failed[:2])


def resume(stack: StackContext, facts: dict[str, Any]) -> None:
    """
    Put back what a journal's *facts* say was locked, stopped or paused.

    Stores first, then, once they are healthy, what depends on them. Doing it twice
    does no harm. Raises what hinders it, after everything was tried.
    """
    now = datetime.now(UTC)
    steps = [partial(_end, stack, one) for one in facts.get("ending", ())]
    steps += [partial(unlock, stack, lock) for lock in facts.get("locked", ())]
    for group in (facts.get("stores", ()), facts.get("dependents", ())):
        steps += [partial(start, stack, [halted]) for halted in reversed(group)]
        steps += [partial(wait, stack, group, since=now)]
    faults: list[ComposeOpsError] = []
    for step in steps:
        try:
            step()
        except ComposeOpsError as refused:
            faults.append(refused)
    if faults:
        raise _worst(faults)


def _end(stack: StackContext, halted: StoppedContainer) -> None:
    """
    Let a stop that was begun come to its end, so that a start comes after it.

    What was started since is not what was to be stopped.
    """
    there = stack.engine.container(halted["id"])
    if there is not None and there.is_running and moment(there) == halted["started"]:
        stack.engine.stop(there.id)


def _worst(faults: Sequence[ComposeOpsError]) -> ComposeOpsError:
    """Return what must not be forgotten: what is not put back, before what is ill."""
    undone = [f for f in faults if not isinstance(f, UnhealthyError)]
    worst = (undone or faults)[0]
    others = [fault.message for fault in faults if fault is not worst]
    worst.detail = "\n".join(filter(None, [worst.detail, *others]))
    return worst
