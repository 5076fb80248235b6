"""What runs: services, their health, what they really publish, what they use."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from compose_ops import redaction
from compose_ops.console import show, table
from compose_ops.docker.api import Container, Usage
from compose_ops.errors import UsageError
from compose_ops.runtime.context import StackContext
from compose_ops.state import lock, recovery
from compose_ops.units import readable_duration, readable_size

WEB_PORTS = frozenset({3000, 8000, 8265, 9000, 2113})


def services(stack: StackContext) -> dict[str, Any]:
    """
    Return {"project", "mode", "services": [], "previous": [], "unfinished": []}.

    Services has one entry per container; previous, the data that restores moved aside;
    unfinished, the tasks that died: kind, step, age (seconds), services (null for all).

    An entry has service, container, state, health, since (RFC 3339), published (list
    of host:port), urls, memory and memory_limit (bytes, null when not running).
    Services of the model without a container have the state "absent".
    """
    containers = sorted(stack.containers, key=lambda c: (c.service, c.number))
    running = [c.id for c in containers if c.is_running]
    used = {usage.container: usage for usage in stack.engine.usage(*running)}
    entries = [_entry(c, used.get(c.id)) for c in containers]
    there = {c.service for c in containers}
    entries += [_absent(name) for name in stack.model.services if name not in there]
    return {
        "project": stack.project,
        "mode": str(stack.mode),
        "services": entries,
        "previous": stack.collaborators.backups.restore_points_as_json(stack),
        "unfinished": _unfinished(stack),
    }


def print_services(found: dict[str, Any]) -> None:
    rows = [
        [
            entry["container"] or entry["service"],
            entry["state"],
            entry["health"] or "-",
            _age(entry["since"]),
            "\n".join(entry["urls"]) or "-",
            _memory(entry),
        ]
        for entry in found["services"]
    ]
    columns = ["service", "state", "health", "since", "published", "memory"]
    table(f"{found['project']} ({found['mode']})", columns, rows)
    for one in found["unfinished"]:
        age = readable_duration(one["age"])
        show(
            f"unfinished: {one['kind']}, {age} ago at the step '{one['step']}' "
            "(the next task that changes something puts things back)"
        )
    for kept in found["previous"]:
        show(
            f"kept from before the restore of {kept['moved']}: "
            f"{', '.join(kept['services'])} (invoke restore --undo, or --discard)"
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


def usage(stack: StackContext, names: Sequence[str] = ()) -> dict[str, Any]:
    """Return {"containers": [{"container", "cpu" (% of a core), "memory", …}]}."""
    stack.model.check_services(names)
    running = {
        c.id: c
        for c in stack.containers
        if c.is_running and (not names or c.service in names)
    }
    if not running:
        raise UsageError("nothing of that runs", hint="invoke up starts the stack")
    return {
        "containers": [
            {
                "container": running[sample.container].name,
                "service": running[sample.container].service,
                "cpu": sample.cpu,
                "memory": sample.memory,
                "memory_limit": sample.memory_limit,
            }
            for sample in stack.engine.usage(*running)
        ]
    }


def print_usage(found: dict[str, Any]) -> None:
    rows = [
        [
            entry["container"],
            f"{entry['cpu']:.1f} %",
            _memory(entry),
        ]
        for entry in found["containers"]
    ]
    table("", ["container", "cpu", "memory"], rows)


def redacted_model(stack: StackContext) -> dict[str, Any]:
    """Return the merged model with `[redacted]` in place of every secret."""
    return dict(redacted(stack.model.raw))


def redacted(value: Any, key: str = "") -> Any:
    """Return what Compose's model holds without the values that look secret."""
    if isinstance(value, dict):
        return {name: redacted(one, str(name)) for name, one in value.items()}
    if isinstance(value, list):
        return [redacted(one) for one in value]
    if isinstance(value, str):
        is_path = value.startswith("/")
        is_secret = value and not is_path and redaction.is_secret_name(key)
        return redaction.MASK if is_secret else redaction.clean(value)
    return value


def print_model(model: dict[str, Any]) -> None:
    import yaml

    show(yaml.safe_dump(model, sort_keys=True).rstrip())


def _entry(container: Container, used: Usage | None) -> dict[str, Any]:
    return {
        "service": container.service,
        "container": container.name,
        "state": container.state,
        "health": container.health,
        "since": (container.started or container.created).isoformat(),
        "published": [f"{p.host}:{p.port}" for p in container.published],
        "urls": [_url(p.host, p.port, p.target) for p in container.published],
        "memory": used.memory if used else None,
        "memory_limit": used.memory_limit if used else None,
    }


def _absent(name: str) -> dict[str, Any]:
    return {
        "service": name,
        "container": "",
        "state": "absent",
        "health": "",
        "since": None,
        "published": [],
        "urls": [],
        "memory": None,
        "memory_limit": None,
    }


def _url(host: str, port: int, target: int) -> str:
    address = f"{host}:{port}"
    return f"http://{address}" if target in WEB_PORTS else f"{address} ({target})"


def _age(since: str | None) -> str:
    if since is None:
        return "-"
    return readable_duration(
        (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()
    )


def _memory(entry: dict[str, Any]) -> str:
    if entry["memory"] is None:
        return "-"
    return f"{readable_size(entry['memory'])} / {readable_size(entry['memory_limit'])}"
