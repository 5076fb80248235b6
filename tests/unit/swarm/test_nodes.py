"""The machines of a Swarm are shown as the API tells, managers first."""

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from compose_ops.docker import cluster_requests
from compose_ops.docker.api import EngineInfo, Output
from compose_ops.docker.cluster_requests import ClusterRequests
from compose_ops.errors import ConfigurationError
from compose_ops.runtime.context import StackContext
from compose_ops.swarm.view import nodes

WORKER = {
    "ID": "w1",
    "Spec": {"Role": "worker", "Availability": "drain", "Labels": {"store": "true"}},
    "Description": {
        "Hostname": "a",
        "Engine": {"EngineVersion": "26.1.5"},
        "Resources": {
            "NanoCPUs": 2 * cluster_requests.NANO,
            "MemoryBytes": 1024,
            "GenericResources": [
                {"DiscreteResourceSpec": {"Kind": "NVIDIA-GPU", "Value": 2}}
            ],
        },
    },
    "Status": {"State": "ready", "Addr": "10.0.0.2"},
}
MANAGER = {
    "ID": "m1",
    "Spec": {"Role": "manager", "Availability": "active"},
    "Description": {"Hostname": "b"},
    "Status": {"State": "ready"},
    "ManagerStatus": {"Reachability": "reachable", "Leader": True},
}


class Manager(ClusterRequests):
    """A docker client that knows two nodes."""

    def docker(self, *arguments: str, timeout: float = 0.0) -> Output:
        del timeout
        listed = arguments[:2] == ("node", "ls")
        return Output(0, "w1\nm1\n" if listed else json.dumps([WORKER, MANAGER]), "")


def stack(swarm: Mapping[str, Any]) -> StackContext:
    info = EngineInfo("E", "26.1.5", 2, 0, (), {"Swarm": swarm})
    return cast("StackContext", SimpleNamespace(engine=Manager(), info=info))


def test_managers_come_first_with_what_places_services() -> None:
    first, second = nodes(stack({"ControlAvailable": True}))

    assert (first.hostname, first.reachability, first.is_leader) == (
        *("b", "reachable"),
        True,
    )
    assert first.takes_tasks
    assert not second.takes_tasks, "it is drained"
    assert (second.labels, second.cpus, second.resources) == (
        *({"store": "true"}, 2.0),
        ("NVIDIA-GPU=2",),
    )


@pytest.mark.parametrize(
    ("swarm", "word"),
    [
        ({"LocalNodeState": "inactive"}, "in no Swarm"),
        ({"LocalNodeState": "active", "ControlAvailable": False}, "a worker"),
    ],
)
def test_an_engine_that_is_no_manager_is_named(
    swarm: Mapping[str, Any], word: str
) -> None:
    with pytest.raises(ConfigurationError, match=word):
        nodes(stack(swarm))
