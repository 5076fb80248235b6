"""Requests about a Swarm by the docker client."""

from collections.abc import Mapping
from typing import Any

from compose_ops.docker.cluster import Node
from compose_ops.docker.engine import EngineRequests

NANO = 10**9


class ClusterRequests(EngineRequests):
    def nodes(self) -> tuple[Node, ...]:
        ids = self.checked("node", "ls", "--quiet", timeout=self.timeout).stdout.split()
        return tuple(map(_node, self.inspect("node", ids)))


def _node(data: Mapping[str, Any]) -> Node:
    spec, described = data["Spec"], data["Description"]
    manager = data.get("ManagerStatus") or {}
    has = described.get("Resources") or {}
    return Node(
        id=data["ID"],
        hostname=described["Hostname"],
        role=spec["Role"],
        state=data["Status"]["State"],
        availability=spec["Availability"],
        address=data["Status"].get("Addr", ""),
        reachability=manager.get("Reachability", ""),
        is_leader=bool(manager.get("Leader")),
        labels=spec.get("Labels") or {},
        version=(described.get("Engine") or {}).get("EngineVersion", ""),
        cpus=has.get("NanoCPUs", 0) / NANO,
        memory=has.get("MemoryBytes", 0),
        resources=tuple(map(_resource, has.get("GenericResources") or ())),
    )


def _resource(data: Mapping[str, Any]) -> str:
    [spec] = data.values()
    return f"{spec['Kind']}={spec['Value']}"
