"""What runs of a stack, where, and what it wrote."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from compose_ops.console import say_raw, show_raw
from compose_ops.docker.api import Node, Service, Task
from compose_ops.errors import EngineError
from compose_ops.runtime.context import StackContext
from compose_ops.swarm import preflight

OVER = frozenset({"shutdown", "remove"})


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task that Swarm wants to run: of which service, on which node, how it is."""

    service: str
    name: str
    node: str
    state: str
    health: str
    since: datetime | None
    error: str


def tasks(stack: StackContext) -> tuple[TaskRow, ...]:
    """Return the tasks that the stack's services want; managers alone are asked."""
    services = stack.engine.stack_services(stack.project)
    names = {node.id: node.hostname for node in stack.engine.nodes()}
    found = stack.engine.tasks(service.id for service in services)
    return tuple(
        _row(stack, service, task, names)
        for service in sorted(services, key=lambda one: one.name)
        for task in sorted(found, key=lambda one: (one.slot, names.get(one.node, "")))
        if task.service == service.id and task.wanted not in OVER
    )


def nodes(stack: StackContext) -> tuple[Node, ...]:
    """Return the nodes, managers first; ConfigurationError without a manager."""
    preflight.require_manager(stack)
    found = stack.engine.nodes()
    return tuple(sorted(found, key=lambda node: (node.role, node.hostname)))


def logs(
    stack: StackContext, services: Iterable[str], *, tail: int | None, follow: bool
) -> None:
    """Print what services wrote, on whichever node; EngineError when Docker refuses."""
    names: Sequence[str] = stack.model.check_services(services)
    wanted = [f"{stack.project}_{name}" for name in names or stack.model.services]
    code = stack.engine.follow_service_logs(
        wanted, tail=tail, follow=follow, write=show_raw, write_error=say_raw
    )
    if code != 0:
        raise EngineError(
            f"docker service logs ended with exit code {code}",
            hint="invoke status shows what there is, invoke nodes which node is away",
        )


def short_name(stack: StackContext, service: Service) -> str:
    """Return a service's name in the compose files."""
    return service.name.removeprefix(f"{stack.project}_")


def _row(
    stack: StackContext, service: Service, task: Task, nodes: dict[str, str]
) -> TaskRow:
    name = short_name(stack, service)
    stated = stack.model.services.get(name) or {}
    has_check = bool(stated.get("healthcheck")) and task.state == "running"
    number = task.slot or nodes.get(task.node, task.id[:12])
    return TaskRow(
        service=name,
        name=f"{service.name}.{number}",
        node=nodes.get(task.node, ""),
        state=task.state,
        health="healthy" if has_check else "",
        since=task.since,
        error=task.error,
    )
