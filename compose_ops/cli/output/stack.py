"""What the tasks about services print."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from compose_ops.console import show, table
from compose_ops.stack.status import ContainerStatus, ContainerUsage, Status
from compose_ops.units import readable_duration, readable_size


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
    table(f"{found.project} ({found.mode})", columns, rows)
    for one in found.unfinished:
        age = readable_duration(one["age"])
        show(
            f"unfinished: {one['kind']}, {age} ago at the step '{one['step']}' "
            "(the next task that changes something puts things back)"
        )
    for kept in found.previous:
        show(
            f"kept from before the restore of {kept['moved']}: "
            f"{', '.join(kept['services'])} (invoke restore --undo, or --discard)"
        )


def print_usage(found: Sequence[ContainerUsage]) -> None:
    rows = [[entry.container, f"{entry.cpu:.1f} %", _memory(entry)] for entry in found]
    table("", ["container", "cpu", "memory"], rows)


def print_model(model: dict[str, Any]) -> None:
    import yaml

    show(yaml.safe_dump(model, sort_keys=True).rstrip(), verbatim=True)


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
