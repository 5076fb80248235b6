"""A project for one drill: the stores' images on scratch volumes, on an own network."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jimbot_stack.backup import helper
from jimbot_stack.engine import Engine
from jimbot_stack.environment import write_private
from jimbot_stack.journal import Journal
from jimbot_stack.stack import Stack

NETWORK = "drill"
FILE = "drill.json"
# What ties a service to its neighbours, to the host's ports or to a build.
LEFT_OUT = (
    *("build", "container_name", "depends_on", "extends", "links", "ports"),
    *("networks", "profiles", "restart"),
)


def project(stack: Stack) -> str:
    return f"{stack.project}-drill"


def volume_name(stack: Stack, key: str) -> str:
    return f"{project(stack)}_{key}"


def written(stack: Stack, services: Sequence[str]) -> Path:
    """Write the drill's compose file, 0600, and return where it lies."""
    stack.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = stack.state / FILE
    write_private(path, json.dumps(model(stack, services)))
    return path


def model(stack: Stack, services: Sequence[str]) -> dict[str, Any]:
    """Return the compose model of *services* alone, on volumes of their own."""
    raw = stack.model.raw
    chosen = {name: _service(stack, name) for name in services}
    volumes = {
        mount["source"]
        for service in chosen.values()
        for mount in service.get("volumes") or ()
        if mount.get("type") == "volume" and mount.get("source")
    }
    secrets = {use["source"] for s in chosen.values() for use in s.get("secrets") or ()}
    return {
        "name": project(stack),
        "services": chosen,
        "volumes": {key: {} for key in sorted(volumes)},
        "networks": {NETWORK: {"internal": True}},
        "secrets": {
            key: {"file": raw["secrets"][key]["file"]} for key in sorted(secrets)
        },
    }


def _service(stack: Stack, name: str) -> dict[str, Any]:
    service = dict(stack.model.service(name))
    image = service.get("image") or f"{stack.project}-{name}"
    for key in LEFT_OUT:
        service.pop(key, None)
    alone = {} if service.get("network_mode") == "none" else {"networks": [NETWORK]}
    return {**service, "image": image, "pull_policy": "never", "restart": "no", **alone}


def engine(stack: Stack, file: Path) -> Engine:
    return stack.engine.other(file, project(stack))


def undo(stack: Stack, journal: Journal) -> None:
    """Remove all that a drill made. Can be repeated."""
    helper.remove_strays(stack)
    file = Path(journal.facts["file"])
    if file.exists():
        engine(stack, file).down(volumes=True)
        file.unlink(missing_ok=True)
    journal.close()
