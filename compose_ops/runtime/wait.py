"""Wait for the health of a project's services, while Compose works or after it."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from compose_ops.console import health_progress
from compose_ops.docker.api import Container
from compose_ops.errors import ComposeOpsError, UnhealthyError
from compose_ops.runtime import health
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.health import Clock

CLOCK = Clock(now=time.monotonic, sleep=time.sleep)


def wait(
    stack: StackContext,
    services: set[str],
    timeout: int | None,
    *,
    while_running: threading.Thread | None = None,
    failures: Sequence[ComposeOpsError] = (),
) -> None:
    """
    Return when *services* are healthy; UnhealthyError with their evidence otherwise.

    *timeout* in seconds, None for as long as their checks may take. *while_running* is
    Compose at work, and *failures* what it was refused.
    """
    limit = stack.model.patience(services) if timeout is None else float(timeout)
    expected = {name: stack.model.replicas(name) for name in services}
    observe = _observer(stack, while_running, failures)
    try:
        with health_progress() as report:
            health.wait_until_healthy(
                observe,
                expected=expected,
                timeout=limit,
                clock=CLOCK,
                report=report,
                jobs=stack.model.jobs,
            )
    except UnhealthyError as failed:
        failed.detail = failed.detail or _evidence(stack, services)
        raise
    if while_running is not None:
        while_running.join()
    if failures:
        raise failures[0]


def _observer(
    stack: StackContext,
    thread: threading.Thread | None,
    failures: Sequence[ComposeOpsError],
) -> Callable[[], Sequence[Container]]:
    """
    Return a look at the project while Compose still works.

    What had failed before and has not run since is not judged, and nothing counts as
    healthy before Compose has ended: it may be about to replace it.
    """
    jobs = stack.model.jobs
    # Compose stops them while it recreates what they follow, and starts them again.
    followers = {
        f for name in stack.model.services for f in stack.model.followers(name)
    }
    failed_before = {
        c.id: c.finished
        for c in stack.containers
        if health.verdict(c) == "failed" or c.service in jobs
    }

    def undecided(containers: Sequence[Container]) -> list[Container]:
        return [
            c
            for c in containers
            if health.verdict(c, jobs) != "healthy"
            and not (c.service in followers and c.state in health.FAILED_STATES)
            and not (c.id in failed_before and c.finished == failed_before[c.id])
            and not is_being_replaced(c, containers)
        ]

    def observe() -> Sequence[Container]:
        if failures and not _is_about_health(failures[0]):
            raise failures[0]
        ended = thread is None or not thread.is_alive()
        containers = stack.refresh()
        if ended:
            return containers
        found = undecided(containers)
        if any(health.verdict(c, jobs) == "failed" for c in found):
            # Ids are listed before they are inspected: what replaces a container may
            # have been created in between, and is listed now.
            found = undecided(stack.refresh())
        return found

    return observe


def is_being_replaced(old: Container, containers: Sequence[Container]) -> bool:
    """Say whether Compose made a container anew: it then stops the one before."""
    return any(
        other.service == old.service
        and other.state == "created"
        and other.created > old.created
        for other in containers
    )


def _is_about_health(error: ComposeOpsError) -> bool:
    return "unhealthy" in error.message or "exited" in error.message


def _evidence(stack: StackContext, services: Iterable[str]) -> str:
    names = set(services)
    failed = [
        c
        for c in stack.refresh()
        if c.service in names
        and health.verdict(c, stack.model.jobs) != "healthy"
        and c.state != "created"
    ]
    return "\n".join(health.evidence(stack.engine, c) for c in failed[:2])
