"""What the tasks about services print."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from compose_ops.console import show, table
from compose_ops.library.gateway import GatewayFile
from compose_ops.stack.status import ContainerStatus, ContainerUsage, Status
from compose_ops.units import readable_duration, readable_size

if TYPE_CHECKING:
    from compose_ops.docker.api import Node


def print_status(found: Status) -> None:
    rows = [
        [
            entry.container or entry.service,
            entry.state,
            entry.health or "-",
            _age(entry.since),
            "\n".join(entry.urls) or "-",
            _memory(entry),
        ]
        for entry in found.containers
    ]
    columns = ["service", "state", "health", "since", "published", "memory"]
    if any(entry.node for entry in found.containers):
        columns.append("node")
        rows = [[*r, e.node] for r, e in zip(rows, found.containers, strict=True)]
    table(f"{found.project} ({found.mode})", columns, rows)
    for entry in found.containers:
        if entry.outdated:
            show(f"not current: {entry.container}: {', '.join(entry.outdated)}")
    unknown = sorted({e.service for e in found.containers if e.unknown_contents})
    if unknown:
        show(
            f"unknown: which contents of secrets, configs and mounted files "
            f"{', '.join(unknown)} started with"
        )
    for one in found.unfinished:
        age = readable_duration(one["age"])
        show(
            f"unfinished: {one['kind']}, {age} ago at the step '{one['step']}' "
            "(invoke recover puts things back)"
        )
    for kept in found.previous:
        show(
            f"kept from before the {kept['cause']} of {kept['moved']}: "
            f"{', '.join(kept['services'])} (invoke restore --undo, or --discard)"
        )


def nodes_as_json(found: "Sequence[Node]") -> dict[str, Any]:
    return {"nodes": [asdict(node) for node in found]}


def print_nodes(found: "Sequence[Node]") -> None:
    rows = [
        [
            node.hostname,
            f"{node.role}{', leader' if node.is_leader else ''}",
            " ".join(filter(None, [node.state, node.availability, node.reachability])),
            node.address,
            f"{node.cpus:g} CPUs, {readable_size(node.memory)}",
            "\n".join([*(f"{k}={v}" for k, v in node.labels.items()), *node.resources])
            or "-",
        ]
        for node in found
    ]
    table("", ["node", "role", "state", "address", "has", "labels"], rows)


def print_usage(found: Sequence[ContainerUsage]) -> None:
    rows = [[entry.container, f"{entry.cpu:.1f} %", _memory(entry)] for entry in found]
    table("", ["container", "cpu", "memory"], rows)


def print_model(model: dict[str, Any]) -> None:
    import yaml

    show(yaml.safe_dump(model, sort_keys=True).rstrip(), verbatim=True)


def print_gateway(found: GatewayFile) -> None:
    if found.path is None:
        show(found.text.rstrip(), verbatim=True)
        return
    show(f"written: {found.path}")
    show(f"name it behind the others in compose-ops.toml: {found.hint}")


def _age(since: str | None) -> str:
    if since is None:
        return "-"
    return readable_duration(
        (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()
    )


def _memory(entry: ContainerStatus | ContainerUsage) -> str:
    if entry.memory is None or entry.memory_limit is None:
        return "-"
    return f"{readable_size(entry.memory)} / {readable_size(entry.memory_limit)}"
