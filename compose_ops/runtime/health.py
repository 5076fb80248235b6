"""Wait until containers are healthy, and say why one is not."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from compose_ops.docker.api import Container, Engine
from compose_ops.errors import UnhealthyError
from compose_ops.redaction import clean

RESTARTS_THAT_ARE_A_LOOP = 2
FAILED_STATES = frozenset({"exited", "dead"})

Report = Callable[[Sequence[Container]], None]


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as an argument: seconds that only grow, and a way to let them pass."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


def verdict(container: Container, jobs: Collection[str] = ()) -> str:
    """
    Return healthy, waiting or failed for one container.

    *jobs* are the services that are done when their container ended with code 0.
    """
    if container.service in jobs:
        return _verdict_on_job(container)
    if container.is_healthy:
        return "healthy"
    if container.oom_killed or container.state in FAILED_STATES:
        return "failed"
    if container.health == "unhealthy":
        return "failed"
    if container.restart_count >= RESTARTS_THAT_ARE_A_LOOP:
        return "failed"
    return "waiting"


def _verdict_on_job(container: Container) -> str:
    if container.state not in FAILED_STATES or container.started is None:
        return "waiting"
    return "healthy" if container.exit_code == 0 else "failed"


def wait_until_healthy(
    observe: Callable[[], Sequence[Container]],
    *,
    expected: dict[str, int],
    timeout: float,
    clock: Clock,
    report: Report,
    period: float = 0.3,
    jobs: Collection[str] = (),
) -> None:
    """
    Return when each service has its *expected* number of healthy containers.

    Those of *jobs* have run to their end instead.

    *observe* returns the project's containers as they are. Raises UnhealthyError as
    soon as one has failed for good, or when *timeout* seconds have passed.
    """
    deadline = clock.now() + timeout
    while True:
        containers = [c for c in observe() if c.service in expected]
        report(containers)
        failed = [c for c in containers if verdict(c, jobs) == "failed"]
        if failed:
            raise unhealthy(failed[0])
        missing = lacking(containers, expected, jobs)
        if not missing:
            return
        if clock.now() > deadline:
            raise _late(missing[0], containers, timeout)
        clock.sleep(period)


def lacking(
    containers: Iterable[Container],
    expected: dict[str, int],
    jobs: Collection[str] = (),
) -> list[str]:
    """Return the services with fewer healthy containers than *expected*."""
    healthy: dict[str, int] = {}
    for container in containers:
        healthy[container.service] = healthy.get(container.service, 0) + (
            verdict(container, jobs) == "healthy"
        )
    return [name for name, count in expected.items() if healthy.get(name, 0) < count]


def cause(container: Container) -> str:
    """Say in a few words what is wrong with a container."""
    if container.oom_killed:
        return "was killed for exceeding its memory limit"
    if container.state in FAILED_STATES:
        return f"ended with exit code {container.exit_code}"
    if container.restart_count >= RESTARTS_THAT_ARE_A_LOOP:
        return f"restarts again and again (exit code {container.exit_code})"
    if container.health == "unhealthy":
        return "is unhealthy"
    return f"is {container.state}, {container.health or 'without health check'}"


def evidence(engine: Engine, container: Container, *, lines: int = 10) -> str:
    """Return the last health output and the last log lines of a container."""
    parts = []
    if container.probes:
        last = container.probes[-1]
        parts.append(
            f"last health check (exit code {last.code}): {clean(last.output)[-400:]}"
        )
    logs = engine.logs(container.id, tail=lines)
    if logs:
        parts.append(f"last log lines of {container.name}:\n{_indent(logs)}")
    return "\n".join(parts)


def unhealthy(container: Container) -> UnhealthyError:
    return UnhealthyError(
        f"{container.service} {cause(container)}",
        hint=f"invoke logs --service {container.service} shows more",
    )


def _late(
    service: str, containers: Sequence[Container], timeout: float
) -> UnhealthyError:
    found = [c for c in containers if c.service == service]
    state = cause(found[0]) if found else "has no container"
    return UnhealthyError(
        f"{service} {state} after {timeout:.0f} s",
        hint=f"invoke logs --service {service} shows more; --timeout gives it longer",
    )


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
