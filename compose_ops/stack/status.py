"""What runs: services, their health, what they really publish, what they use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compose_ops import redaction
from compose_ops.docker.api import Container, Usage
from compose_ops.errors import UsageError
from compose_ops.runtime import current
from compose_ops.runtime.context import StackContext
from compose_ops.state import lock, recovery

WEB_PORTS = frozenset({3000, 8000, 8265, 9000, 2113})


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """
    A container, or a service of the model that has none: its `state` is "absent".

    `since` is RFC 3339, "" for none; `published` has host:port, `urls` what a browser
    opens; `memory` and `memory_limit` are bytes, None when it does not run. `outdated`
    says why the next `up` recreates it; with `unknown_contents` nobody knows which
    contents of secrets, configs and single files it was started with. `node` is the
    machine of a Swarm that it is on.
    """

    service: str
    container: str = ""
    state: str = "absent"
    health: str = ""
    since: str | None = None
    published: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    memory: int | None = None
    memory_limit: int | None = None
    node: str = ""
    outdated: tuple[str, ...] = ()
    unknown_contents: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return what `status --json` says of it; `node` only on a Swarm."""
        return {
            **({"node": self.node} if self.node else {}),
            "service": self.service,
            "container": self.container,
            "state": self.state,
            "health": self.health,
            "since": self.since,
            "published": list(self.published),
            "urls": list(self.urls),
            "memory": self.memory,
            "memory_limit": self.memory_limit,
            "outdated": list(self.outdated),
            "unknown_contents": self.unknown_contents,
        }


@dataclass(frozen=True, slots=True)
class Status:
    """
    What there is of a project: one entry per container.

    `previous` is the data that restores moved aside; `unfinished` are the tasks that
    died: kind, step, age (seconds), services (None for all).
    """

    project: str
    mode: str
    containers: tuple[ContainerStatus, ...]
    previous: tuple[Mapping[str, Any], ...] = ()
    unfinished: tuple[Mapping[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return {"project", "mode", "services", "previous", "unfinished"}."""
        return {
            "project": self.project,
            "mode": self.mode,
            "services": [container.as_json() for container in self.containers],
            "previous": list(self.previous),
            "unfinished": list(self.unfinished),
        }


@dataclass(frozen=True, slots=True)
class ContainerUsage:
    """What a running container uses: percent of a core, and bytes."""

    container: str
    service: str
    cpu: float
    memory: int
    memory_limit: int

    def as_json(self) -> dict[str, Any]:
        """Return what `stats --json` says of it."""
        return {
            "container": self.container,
            "service": self.service,
            "cpu": self.cpu,
            "memory": self.memory,
            "memory_limit": self.memory_limit,
        }


def services(stack: StackContext) -> Status:
    """Return what there is of the project's services and containers."""
    containers = sorted(stack.containers, key=lambda c: (c.service, c.number))
    running = [c.id for c in containers if c.is_running]
    used = {usage.container: usage for usage in stack.engine.usage(*running)}
    judged = current.judge(stack, containers)
    entries = [_entry(c, used.get(c.id), judged[c.id]) for c in containers]
    there = {c.service for c in containers}
    absent = [n for n in stack.model.services if n not in there]
    entries += [ContainerStatus(n) for n in absent if stack.model.replicas(n)]
    return Status(
        project=stack.project,
        mode=str(stack.mode),
        containers=tuple(entries),
        previous=tuple(stack.collaborators.backups.restore_points_as_json(stack)),
        unfinished=tuple(_unfinished(stack)),
    )


def _unfinished(stack: StackContext) -> list[dict[str, Any]]:
    """Return the tasks that did not end; nothing while one is at work."""
    left = recovery.pending(stack)
    if not left or lock.holder(stack.info.id, stack.project):
        return []
    return [
        {
            "kind": one.kind,
            "step": one.step or one.problem,
            "age": one.age,
            "services": one.services,
        }
        for one in left
    ]


def usage(stack: StackContext, names: Sequence[str] = ()) -> tuple[ContainerUsage, ...]:
    """Return what running containers use; UsageError when none of *names* runs."""
    stack.model.check_services(names)
    running = {
        c.id: c
        for c in stack.containers
        if c.is_running and (not names or c.service in names)
    }
    if not running:
        raise UsageError("no matching containers", hint="invoke up starts the stack")
    return tuple(
        ContainerUsage(
            container=running[sample.container].name,
            service=running[sample.container].service,
            cpu=sample.cpu,
            memory=sample.memory,
            memory_limit=sample.memory_limit,
        )
        for sample in stack.engine.usage(*running)
    )


def redacted_model(stack: StackContext) -> dict[str, Any]:
    """Return the merged model with `[redacted]` in place of every secret."""
    return dict(redaction.clean_tree(stack.model.raw))


def _entry(
    container: Container, used: Usage | None, judged: current.Currency
) -> ContainerStatus:
    return ContainerStatus(
        service=container.service,
        container=container.name,
        state=container.state,
        health=container.health,
        since=(container.started or container.created).isoformat(),
        published=tuple(f"{p.host}:{p.port}" for p in container.published),
        urls=tuple(_url(p.host, p.port, p.target) for p in container.published),
        memory=used.memory if used else None,
        memory_limit=used.memory_limit if used else None,
        outdated=judged.causes,
        unknown_contents=judged.is_unknown,
    )


def _url(host: str, port: int, target: int) -> str:
    address = f"{host}:{port}"
    return f"http://{address}" if target in WEB_PORTS else f"{address} ({target})"
