"""What shares a service's namespaces goes along when its containers are replaced."""

from collections.abc import Iterator
from contextlib import contextmanager

from compose_ops.console import say
from compose_ops.docker.api import Container
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.wait import wait


@contextmanager
def followed(stack: StackContext, service: str, timeout: int | None) -> Iterator[None]:
    """
    Recreate what follows *service* after a block that replaced its containers.

    A container in the namespace of one that is gone, or that was started anew, has no
    network any more, and says nothing of it. Raises UnhealthyError where one does not
    get healthy again.
    """
    before = _starts(stack.refresh(), service)
    yield
    names = stack.model.followers(service)
    if not names:
        return
    there = stack.refresh()
    running = sorted({c.service for c in there if c.is_running and c.service in names})
    if running and _starts(there, service) != before:
        say(f"recreating {', '.join(running)}: in a namespace of {service}")
        stack.engine.up(running, dependencies=False, recreate="always")
        wait(stack, set(running), timeout)


def _starts(containers: tuple[Container, ...], service: str) -> set[tuple[str, str]]:
    return {(c.id, str(c.started)) for c in containers if c.service == service}
