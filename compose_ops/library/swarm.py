"""A project on a Swarm: which operations act on it, and their results as values."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from compose_ops.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from compose_ops.runtime.context import StackContext
    from compose_ops.stack.status import Status

ANYWHERE = frozenset({"recover", "verify", "prune"})
"""Tasks that concern no container, so they are the same on a Swarm."""


def status(stack: "StackContext") -> "Status":
    """Return what there is of a stack: an entry for each task that Swarm wants."""
    from compose_ops.stack.status import ContainerStatus, Status
    from compose_ops.swarm import view

    entries = [
        ContainerStatus(
            service=row.service,
            container=row.name,
            state=row.state if not row.error else f"{row.state}: {row.error}",
            health=row.health,
            since=row.since.isoformat() if row.since else None,
            node=row.node,
        )
        for row in view.tasks(stack)
    ]
    there = {entry.service for entry in entries}
    entries += [ContainerStatus(n) for n in stack.model.services if n not in there]
    return Status(stack.project, str(stack.mode), tuple(entries))


def up(
    stack: "StackContext",
    services: "Iterable[str]",
    *,
    build: bool,
    timeout: int | None,
) -> None:
    """Deploy a stack; UsageError for single services, which a deploy has none of."""
    from compose_ops.swarm import up as deploying

    if tuple(services):
        raise UsageError(
            "a stack is deployed as a whole",
            hint="leave out --service: what has not changed is not restarted",
        )
    deploying.up(stack, build=build, timeout=timeout)


def on_one_engine(opening: "Callable[[], StackContext]", task: str) -> "StackContext":
    """Return the stack for a task that acts on one engine; UsageError on a Swarm."""
    stack = opening()
    if stack.mode.swarm and task not in ANYWHERE:
        raise UsageError(
            f"{task} does not act on a Swarm yet",
            hint="docs/swarm.md says what does, and what to type instead",
        )
    return stack


def refuse_both(stack: "StackContext") -> None:
    """Refuse to start a project here that runs on the Swarm under the same name."""
    if stack.started_as is not None and stack.started_as.swarm != stack.mode.swarm:
        where = "the Swarm" if stack.started_as.swarm else "this engine alone"
        raise ConfigurationError(
            f"{stack.project} runs on {where}",
            hint="invoke down ends that first; backup --all keeps its data",
        )
