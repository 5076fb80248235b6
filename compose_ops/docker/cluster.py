"""The port to a Swarm, which a manager's engine answers for; a part of `Engine`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


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


class Cluster(Protocol):
    """What is asked of a manager. Every method may raise EngineError."""

    def nodes(self) -> tuple[Node, ...]:
        """Return the machines of the Swarm."""
