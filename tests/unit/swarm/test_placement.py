"""Whether the nodes suffice is known before anything is deployed."""

from dataclasses import replace
from typing import Any

import pytest

from compose_ops.docker.api import Node
from compose_ops.swarm.placement import eligible, matches, problems

ONE = Node(
    *("1", "node1", "manager", "ready", "active"), labels={"web": "true"}, cpus=2
)
TWO = replace(ONE, id="2", hostname="node2", role="worker")
DRAINED = replace(TWO, id="3", hostname="node3", availability="drain")


def deploy(**stated: Any) -> dict[str, Any]:
    pins = ["node.labels.web == true"]
    placement = {"constraints": pins, **stated.pop("placement", {})}
    return {"deploy": {"placement": placement, **stated}}


def found(service: dict[str, Any], *nodes: Node, data: tuple[str, ...] = ()) -> str:
    return "\n".join(problems({"services": {"web": service}}, nodes, {"web": data}))


@pytest.mark.parametrize(
    ("constraint", "met"),
    [
        ("node.labels.web == true", True),
        ("node.labels.web==true", True),
        ("node.labels.web != true", False),
        ("node.labels.other != true", True),
        ("node.role == worker", False),
        ("node.hostname == node1", True),
        ("node.id == 2", False),
        ("engine.labels.disk == ssd", True),
    ],
)
def test_constraints_are_read_as_swarm_does(constraint: str, *, met: bool) -> None:
    """What only the engine can judge is left to it."""
    assert matches(constraint, ONE) is met


def test_a_drained_node_takes_no_task() -> None:
    assert eligible(deploy(), [TWO, DRAINED]) == [TWO]


def test_no_node_for_a_service_is_named() -> None:
    assert "node.labels.web == true" in found(deploy(), DRAINED)


def test_replicas_need_nodes_for_an_update_too() -> None:
    """As many nodes as replicas, and an update that starts first waits for ever."""
    stated = {"replicas": 2, "placement": {"max_replicas_per_node": 1}}
    first = {**stated, "update_config": {"order": "start-first", "parallelism": 1}}

    assert found(deploy(**stated), ONE, TWO) == ""
    assert "need 3 nodes" in found(deploy(**first), ONE, TWO)


def test_data_on_one_of_several_nodes_is_refused() -> None:
    """A task that moves would begin with an empty volume."""
    assert "node1, node2" in found(deploy(), ONE, TWO, data=("data",))
    assert found(deploy(), ONE, data=("data",)) == ""


def test_more_cpus_than_the_smallest_node_has_are_refused() -> None:
    """The engine would reject the task when it is placed there."""
    stated = {"resources": {"limits": {"cpus": "4"}}}

    assert "node2" in found(deploy(**stated), replace(ONE, cpus=8), TWO)
