"""Wait until a stack is as it was deployed: from the tasks' states, not exit codes."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from compose_ops.console import say
from compose_ops.docker.api import Engine, Node, Service, Task
from compose_ops.errors import ComposeOpsError, EngineError, RolledBack, UnhealthyError
from compose_ops.runtime.health import Clock
from compose_ops.swarm import placement

PERIOD = 1.0
PULL_SECONDS = 300.0
"""Added to what health checks may take: nodes pull images first."""
FAILURES_THAT_ARE_A_LOOP = 3
PATIENCE_WITHOUT_NODE = 30.0
"""Seconds that a task may find no node, as after a node came back."""
PATIENCE_WITHOUT_LEADER = 60.0

AT_WORK = frozenset({"updating", "rollback_started"})
GIVEN_UP = frozenset({"paused", "rollback_paused", "rollback_completed"})
FAILED = frozenset({"failed", "rejected", "orphaned"})


@dataclass(frozen=True, slots=True)
class Before:
    """What there was before a deploy: tasks, and when each service's update began."""

    tasks: frozenset[str] = frozenset()
    updates: Mapping[str, datetime | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A service as it was deployed: its image, and how many tasks must be healthy."""

    name: str
    image: str
    tasks: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A service as it is: how many tasks are healthy, what failed, what waits."""

    wanted: Wanted
    service: Service | None
    healthy: int
    failed: tuple[Task, ...] = ()
    homeless: tuple[Task, ...] = ()

    @property
    def is_done(self) -> bool:
        return (
            self.service is not None
            and self.service.update not in AT_WORK
            and self.healthy == self.wanted.tasks
        )

    def __str__(self) -> str:
        return f"{self.wanted.name}: {self.healthy}/{self.wanted.tasks} healthy"


def wanted(content: Mapping[str, Any], nodes: Sequence[Node]) -> list[Wanted]:
    """Return what a stack file asks for on these nodes."""
    found = []
    for name, service in content["services"].items():
        deploy = service.get("deploy") or {}
        is_global = deploy.get("mode") == "global"
        count = (
            len(placement.eligible(service, nodes))
            if is_global
            else int(deploy.get("replicas", 1))
        )
        found.append(Wanted(name, service["image"], count))
    return found


def before(engine: Engine, stack: str) -> Before:
    """Return what there is of a stack before it is deployed."""
    services = engine.stack_services(stack)
    tasks = engine.tasks(service.id for service in services)
    return Before(
        frozenset(task.id for task in tasks),
        {service.name: service.update_started for service in services},
    )


def wait(
    engine: Engine,
    stack: str,
    services: Sequence[Wanted],
    *,
    earlier: Before,
    timeout: float,
    clock: Clock,
) -> None:
    """
    Return when every service has its healthy tasks of the deployed image.

    Raises RolledBack when Swarm went back to what was before, UnhealthyError, with the
    tasks' own words, for what fails again and again, finds no node, or is not healthy
    within *timeout* seconds.
    """
    begun, told, homeless_since = clock.now(), dict[str, str](), clock.now()
    ask = _patient(lambda: _observed(engine, stack, services, earlier), clock)
    while True:
        found = ask()
        for seen in found:
            if told.get(seen.wanted.name) != str(seen):
                told[seen.wanted.name] = str(seen)
                say(str(seen))
            _judge(engine, seen, earlier)
        if all(seen.is_done for seen in found):
            return
        if not any(seen.homeless for seen in found):
            homeless_since = clock.now()
        if clock.now() - homeless_since > PATIENCE_WITHOUT_NODE:
            raise _unhealthy(engine, found, "a task finds no node")
        if clock.now() - begun > timeout:
            raise _unhealthy(engine, found, f"not all is healthy after {timeout:.0f} s")
        clock.sleep(PERIOD)


def _patient(ask: Callable[[], list[Seen]], clock: Clock) -> Callable[[], list[Seen]]:
    """Return *ask* that waits for a leader: managers elect one in some seconds."""

    def patient() -> list[Seen]:
        begun = clock.now()
        while True:
            try:
                return ask()
            except EngineError:
                if clock.now() - begun > PATIENCE_WITHOUT_LEADER:
                    raise
                clock.sleep(PERIOD)

    return patient


def _observed(
    engine: Engine, stack: str, services: Sequence[Wanted], earlier: Before
) -> list[Seen]:
    there = {service.name: service for service in engine.stack_services(stack)}
    tasks = engine.tasks(service.id for service in there.values())
    return [
        _seen(one, there.get(f"{stack}_{one.name}"), tasks, earlier) for one in services
    ]


def _seen(
    one: Wanted, service: Service | None, tasks: Sequence[Task], earlier: Before
) -> Seen:
    if service is None:
        return Seen(one, None, 0)
    own = [task for task in tasks if task.service == service.id]
    current = [t for t in own if t.wanted == "running" and same(t.image, service.image)]
    return Seen(
        one,
        service,
        sum(task.state == "running" for task in current),
        tuple(t for t in own if t.state in FAILED and t.id not in earlier.tasks),
        tuple(t for t in own if t.state == "pending" and t.error),
    )


def _judge(engine: Engine, seen: Seen, earlier: Before) -> None:
    """Raise for a service that will not get healthy any more."""
    service, name = seen.service, seen.wanted.name
    if service is None:
        return
    is_ours = earlier.updates.get(service.name) != service.update_started
    if is_ours and service.update in GIVEN_UP:
        kind = UnhealthyError if service.update == "paused" else RolledBack
        raise _failed(
            engine,
            kind,
            f"{name}: the update was stopped by Swarm ({service.update}): "
            f"{service.message}",
            seen.failed,
        )
    if not same(service.image, seen.wanted.image):
        raise RolledBack(
            f"{name} runs {service.image}, not what was deployed",
            hint="somebody, or Swarm, took it back: invoke up deploys it again",
        )
    is_judged_by_swarm = service.update in AT_WORK
    is_loop = len(seen.failed) >= FAILURES_THAT_ARE_A_LOOP and not seen.healthy
    if is_loop and not is_judged_by_swarm:
        raise _unhealthy(engine, [seen], f"{name} fails again and again")


def same(one: str, other: str) -> bool:
    """
    Say whether two references mean the same image, as far as both tell.

    >>> same("lan:5000/web:2@sha256:0a", "lan:5000/web@sha256:0a")
    True
    """
    first, second = one.partition("@")[2], other.partition("@")[2]
    if first and second:
        return first == second
    return one.partition("@")[0] == other.partition("@")[0]


def _unhealthy(engine: Engine, found: Sequence[Seen], message: str) -> ComposeOpsError:
    late = [seen for seen in found if not seen.is_done]
    tasks = [task for seen in late for task in (*seen.homeless, *seen.failed)]
    made = _failed(engine, UnhealthyError, message, tasks)
    if not made.detail:
        made.detail = "\n".join(map(str, late))
    return made


def _failed(
    engine: Engine, kind: type[ComposeOpsError], message: str, tasks: Sequence[Task]
) -> ComposeOpsError:
    names: dict[str, str] = {}
    with suppress(EngineError):
        names = {node.id: node.hostname for node in engine.nodes()}
    newest = sorted(tasks, key=lambda task: str(task.since), reverse=True)[:4]
    lines = [
        f"task {task.id[:12]} on {names.get(task.node, 'no node')}: {task.state}: "
        f"{task.error}"
        for task in newest
    ]
    return kind(
        message,
        detail="\n".join(dict.fromkeys(lines)),
        hint="invoke logs --service NAME shows what it wrote; mend it, then run the "
        "same command again",
    )
