"""Where the services of a stack file may run, and whether the nodes suffice."""

import re
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any

from compose_ops.docker.api import Node

_CONSTRAINT = re.compile(r"\s*([\w.-]+)\s*(==|!=)\s*(.*?)\s*")
LABEL = "node.labels."


def eligible(service: Mapping[str, Any], nodes: Sequence[Node]) -> list[Node]:
    """Return the nodes on which a service of a stack file may run now."""
    pins = constraints(service)
    return [n for n in nodes if n.takes_tasks and all(matches(pin, n) for pin in pins)]


def constraints(service: Mapping[str, Any]) -> list[str]:
    """Return the placement constraints of a service of a stack file."""
    placement = (service.get("deploy") or {}).get("placement") or {}
    return list(placement.get("constraints") or ())


def matches(constraint: str, node: Node) -> bool:
    """
    Say whether a node meets a constraint; one that is not understood is met.

    >>> matches("node.labels.disk == ssd", Node("1", "a", "worker", "ready", "active"))
    False
    """
    found = _CONSTRAINT.fullmatch(constraint)
    if found is None:
        return True
    key, sign, wanted = found.groups()
    facts = {
        "node.id": node.id,
        "node.hostname": node.hostname,
        "node.role": node.role,
    }
    if key.startswith(LABEL):
        value = node.labels.get(key.removeprefix(LABEL), "")
    elif key in facts:
        value = facts[key]
    else:
        return True
    return (value == wanted) == (sign == "==")


def problems(
    content: Mapping[str, Any], nodes: Sequence[Node], data: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """
    Yield why the nodes do not suffice for a stack file, a line each.

    *data* are the volumes that must be found again, by service.
    """
    for name, service in content["services"].items():
        there = eligible(service, nodes)
        pins = constraints(service)
        if not there:
            yield f"{name}: no node that takes tasks has {' and '.join(pins) or 'room'}"
            continue
        if data.get(name) and len(there) > 1:
            names = ", ".join(sorted(node.hostname for node in there))
            yield (
                f"{name}: its data ({', '.join(data[name])}) may be on any of {names}: "
                "let its constraint name one node"
            )
        yield from _replicas(name, service.get("deploy") or {}, len(there))
        yield from _cpus(name, service.get("deploy") or {}, there)


def _replicas(name: str, deploy: Mapping[str, Any], nodes: int) -> Iterator[str]:
    """Refuse what Swarm would wait for for ever."""
    most = (deploy.get("placement") or {}).get("max_replicas_per_node")
    if not most or deploy.get("mode") == "global":
        return
    update = deploy.get("update_config") or {}
    replicas = int(deploy.get("replicas", 1))
    together = int(update.get("parallelism", 1)) or replicas
    more = together if update.get("order") == "start-first" else 0
    if (needed := ceil((replicas + more) / int(most))) > nodes:
        yield (
            f"{name}: {replicas} replicas, {most} a node at most, need {needed} nodes "
            f"for an update and have {nodes}: label more, or leave out "
            "max_replicas_per_node"
        )


def _cpus(name: str, deploy: Mapping[str, Any], there: Sequence[Node]) -> Iterator[str]:
    limits = (deploy.get("resources") or {}).get("limits") or {}
    smallest = min(there, key=lambda node: node.cpus)
    if float(limits.get("cpus") or 0) > smallest.cpus:
        yield (
            f"{name}: its limit of {limits['cpus']} CPUs is more than "
            f"{smallest.hostname} has ({smallest.cpus:g})"
        )
