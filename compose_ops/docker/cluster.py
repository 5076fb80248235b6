"""
The port to a Swarm, which a manager's engine answers for: nodes, services, tasks.

`Cluster` is a part of `Engine`. Values are read from what the API says, not from the
tables that `docker` prints: `2/2 (max 1 per node)` is for people.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

STACK_LABEL = "com.docker.stack.namespace"


@dataclass(frozen=True, slots=True)
class Node:
    """
    A machine of the Swarm.

    `state` is ready, down, unknown or disconnected; `availability` active, pause or
    drain; `reachability` is of managers: "" for a worker. `memory` is in bytes.
    """

    id: str
    hostname: str
    role: str
    state: str
    availability: str
    address: str = ""
    reachability: str = ""
    is_leader: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    cpus: float = 0.0
    memory: int = 0
    resources: tuple[str, ...] = ()

    @property
    def takes_tasks(self) -> bool:
        return self.state == "ready" and self.availability == "active"


@dataclass(frozen=True, slots=True)
class Service:
    """
    A service of the Swarm; `name` is the engine's, with the stack's before it.

    `replicas` is None for a global one. `image` is what its specification names, often
    with a digest. `update` is the state of its last update, such as `updating`,
    `completed`, `rollback_completed` or "" for none; `message` what the engine says.
    `objects` are the names of the secrets and configs that it uses or used before.
    """

    id: str
    name: str
    image: str
    labels: Mapping[str, str]
    replicas: int | None
    created: datetime | None
    update: str = ""
    message: str = ""
    update_started: datetime | None = None
    objects: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Task:
    """
    A container that a service wants, or wanted, on a node.

    `state` is where it is (`running` means healthy, where there is a check), `wanted`
    where Swarm wants it; `error` is why it failed or waits.
    """

    id: str
    service: str
    node: str
    slot: int
    state: str
    wanted: str
    error: str
    image: str
    since: datetime | None
    container: str = ""
    exit_code: int | None = None


class Cluster(Protocol):
    """What is asked of a manager. Every method may raise EngineError."""

    def nodes(self) -> tuple[Node, ...]:
        """Return the machines of the Swarm."""

    def stack_services(self, stack: str) -> tuple[Service, ...]:
        """Return the services of a stack; none where it is not deployed."""

    def tasks(self, services: Iterable[str]) -> tuple[Task, ...]:
        """Return the tasks of services by id, those that ended included."""

    def deploy_stack(self, stack: str, content: Mapping[str, Any]) -> None:
        """Deploy a stack file, with the logins of this client; what it names stays."""

    def remove_stack(self, stack: str) -> None:
        """Remove the services, networks, secrets and configs of a stack."""

    def stack_networks(self, stack: str) -> tuple[str, ...]:
        """Return the ids of a stack's networks."""

    def stack_objects(self, kind: str, stack: str) -> tuple[str, ...]:
        """Return the names of a stack's secrets or configs; *kind* is their noun."""

    def remove_object(self, kind: str, name: str) -> bool:
        """Remove a secret or config; say whether it went, for one in use stays."""

    def push(self, reference: str) -> str:
        """Push an image of this engine; return its reference with the digest."""

    def follow_service_logs(
        self,
        services: Sequence[str],
        *,
        tail: int | None,
        follow: bool,
        write: Callable[[str], object],
        write_error: Callable[[str], object],
    ) -> int:
        """Give *write* the services' logs, as `Engine.follow_logs` does."""
