"""Stop, pause and start services for as long as their data is taken or replaced."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from compose_ops.backup import data_mounts
from compose_ops.backup.policy import policies_of
from compose_ops.backup.unlock import start_time, unlock
from compose_ops.console import health_progress, say
from compose_ops.docker.api import Container
from compose_ops.errors import ComposeOpsError, UnhealthyError
from compose_ops.runtime import health
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.health import Clock
from compose_ops.state.journal import Journal

CLOCK = Clock(now=time.monotonic, sleep=time.sleep)

# The downtime of a store lasts until its health is read; a reading takes 3 ms.
LOOK_PERIOD = 0.1
LIVING = frozenset({"running", "restarting"})
# A paused one writes nothing, but goes on with its files as it knew them.
HOLDING = LIVING | {"paused"}


@dataclass(frozen=True, slots=True)
class StoppedContainer:
    """
    A container that a task stops or pauses, and starts again afterwards.

    `paused` says that it was paused before; `started` is the start that is to be ended:
    what was started later is not stopped by a recovery.
    """

    id: str
    name: str
    service: str
    paused: bool = False
    started: str = ""

    @classmethod
    def of(cls, container: Container) -> "StoppedContainer":
        return cls(
            id=container.id,
            name=container.name,
            service=container.service,
            paused=container.state == "paused",
            started=start_time(container),
        )


def to_stop(containers: Iterable[Container]) -> list[StoppedContainer]:
    return [StoppedContainer.of(container) for container in containers]


def as_facts(stopped: Iterable[StoppedContainer]) -> list[dict[str, Any]]:
    """Return stopped containers as a journal keeps them."""
    return [asdict(container) for container in stopped]


def from_facts(facts: Mapping[str, Any], group: str) -> list[StoppedContainer]:
    """Return what a journal's *facts* hold under *group*; empty where it is absent."""
    return [StoppedContainer(**container) for container in facts.get(group, ())]


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
    chosen = set(services)
    return _furthest_first(stack, _dependents(stack, chosen) - chosen)


def writers_of(stack: StackContext, services: Iterable[str]) -> tuple[str, ...]:
    """
    Return the other services that write to the data of *services*.

    What depends on these is named, too; the furthest away comes first.
    """
    chosen = set(services)
    known = policies_of(stack)
    sources = [m.source for n in chosen if n in known for m in known[n].mounts]
    found = {
        name
        for name in stack.model.services
        if name not in chosen and data_mounts.writes_to(stack.model, name, sources)
    }
    return _furthest_first(stack, (found | _dependents(stack, found)) - chosen)


def affected_by(stack: StackContext, services: Iterable[str]) -> tuple[str, ...]:
    """Return what must not run while the data of *services* is replaced."""
    chosen = set(services)
    found = {*dependents_of(stack, chosen), *writers_of(stack, chosen)}
    return _furthest_first(stack, found)


def _dependents(stack: StackContext, services: Iterable[str]) -> set[str]:
    return {d for name in services for d in stack.model.dependents(name)}


def _furthest_first(stack: StackContext, services: Iterable[str]) -> tuple[str, ...]:
    def order(name: str) -> tuple[int, str]:
        return -len(stack.model.dependencies([name])), name

    return tuple(sorted(services, key=order))


def stop(
    stack: StackContext,
    journal: Journal,
    stopped: Sequence[StoppedContainer],
    *,
    undoes: bool = False,
) -> None:
    """
    Stop each in turn with its own grace period.

    The journal says of which that was begun: the engine goes on with it when the task
    dies, and what is still running then may end at any moment. One that *undoes* stops
    them also where the journal cannot be written.
    """
    note = journal.reach_undoing if undoes else journal.reach
    for container in stopped:
        say(f"stopping {container.name}")
        ending = [*journal.facts.get("ending", ()), *as_facts([container])]
        note(f"stopping {container.name}", ending=ending)
        if container.paused:
            stack.engine.unpause(container.id)
        stack.engine.stop(container.id)


def start(stack: StackContext, stopped: Sequence[StoppedContainer]) -> None:
    """
    Start what was stopped, the last first; containers removed meanwhile are recreated.

    So what others depend on runs before they do.
    """
    for container in reversed(stopped):
        there = stack.engine.container(container.id)
        if there is None:
            stack.engine.up([container.service], dependencies=False, recreate="never")
        elif there.state == "paused":
            stack.engine.unpause(there.id)
        elif not there.is_running:
            say(f"starting {container.name}")
            stack.engine.start(there.id)


def wait(
    stack: StackContext,
    stopped: Sequence[StoppedContainer],
    *,
    timeout: float | None = None,
    since: datetime | None = None,
) -> None:
    """
    Return when each is healthy again; UnhealthyError with its evidence.

    A job need not end: it is back when it runs, or has ended with 0.
    A failed probe that began before *since* says nothing: the pause may have failed it.
    """
    if not stopped:
        return
    jobs = stack.model.jobs
    expected = dict.fromkeys((container.service for container in stopped), 0)
    for container in stopped:
        expected[container.service] += container.service not in jobs
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
                jobs=jobs,
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
        if c.service in set(services)
        and health.verdict(c, stack.model.jobs) != "healthy"
    ]
    return "\n".join(health.evidence(stack.engine, c) for c in failed[:2])


def resume(stack: StackContext, facts: dict[str, Any]) -> None:
    """
    Put back what a journal's *facts* say was locked, stopped or paused.

    Stores first, then, once they are healthy, what depends on them. Doing it twice
    does no harm. Raises what hinders it, after everything was tried.
    """
    now = datetime.now(UTC)
    steps = [partial(_end, stack, stopping) for stopping in from_facts(facts, "ending")]
    steps += [partial(unlock, stack, lock) for lock in facts.get("locked", ())]
    for group in (from_facts(facts, "stores"), from_facts(facts, "dependents")):
        steps += [partial(start, stack, [stopped]) for stopped in reversed(group)]
        steps += [partial(wait, stack, group, since=now)]
    try_all(steps)


def try_all(steps: Iterable[Callable[[], object]]) -> None:
    """Take each step, whatever became of those before; raise the worst fault then."""
    faults: list[Exception] = []
    for step in steps:
        try:
            step()
        except Exception as refused:  # noqa: BLE001 - the other steps are tried
            faults.append(refused)
    if faults:
        raise _worst(faults)


def _end(stack: StackContext, stopping: StoppedContainer) -> None:
    """
    Let a stop that was begun come to its end, so that a start comes after it.

    What was started since is not what was to be stopped.
    """
    there = stack.engine.container(stopping.id)
    if there is not None and there.is_running and start_time(there) == stopping.started:
        stack.engine.stop(there.id)


def _worst(faults: Sequence[Exception]) -> Exception:
    """Return what must not be forgotten: what is not put back, before what is ill."""
    undone = [f for f in faults if not isinstance(f, UnhealthyError)]
    worst = (undone or faults)[0]
    others = [str(getattr(f, "message", f)) for f in faults if f is not worst]
    if isinstance(worst, ComposeOpsError):
        worst.detail = "\n".join(filter(None, [worst.detail, *others]))
    else:
        for other in others:
            worst.add_note(other)
    return worst
