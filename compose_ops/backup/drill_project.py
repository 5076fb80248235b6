"""A project for one drill: the stores' images on scratch volumes, on an own network."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compose_ops.backup import helper
from compose_ops.backup.policy import Policy, policies_of
from compose_ops.docker.api import Engine
from compose_ops.errors import ConfigurationError
from compose_ops.runtime.context import StackContext
from compose_ops.state import store
from compose_ops.state.journal import Journal

NETWORK = "drill"
FILE = "drill.json"
# What ties a service to its neighbours, to the host's ports or to a build.
LEFT_OUT = (
    *("build", "container_name", "depends_on", "extends", "links", "ports"),
    *("networks", "profiles", "restart", "scale", "external_links", "volumes_from"),
    *("network_mode", "pid", "ipc", "uts", "cgroup_parent"),
)
# Where a secret or a config may come from without anything outside the drill.
SOURCES = ("file", "content")


def project(stack: StackContext) -> str:
    return f"{stack.project}-drill"


def volume_name(stack: StackContext, key: str) -> str:
    return f"{project(stack)}_{key}"


def written(stack: StackContext, services: Sequence[str]) -> Path:
    """Write the drill's compose file, 0600, and return where it lies."""
    path = stack.state / FILE
    store.write(path, json.dumps(model(stack, services)))
    return path


def model(stack: StackContext, services: Sequence[str]) -> dict[str, Any]:
    """Return the compose model of *services* alone, on volumes of their own."""
    known = policies_of(stack)
    chosen = {name: _service(stack, name, known.get(name)) for name in services}
    volumes = {
        mount["source"]
        for service in chosen.values()
        for mount in service.get("volumes") or ()
        if mount.get("type") == "volume" and mount.get("source")
    }
    return {
        "name": project(stack),
        "services": chosen,
        "volumes": {key: {} for key in sorted(volumes)},
        "networks": {NETWORK: {"internal": True}},
        "secrets": _given(stack, chosen, "secrets"),
        "configs": _given(stack, chosen, "configs"),
    }


def _given(stack: StackContext, chosen: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the secrets or configs that services use; ConfigurationError."""
    given = {}
    for name, service in chosen.items():
        for use in service.get(kind) or ():
            known = (stack.model.raw.get(kind) or {}).get(use["source"]) or {}
            given[use["source"]] = {k: known[k] for k in SOURCES if k in known}
            if not given[use["source"]]:
                what = f"{use['source']} of its {kind}"
                raise ConfigurationError(
                    f"{name} cannot be drilled: {what} is no file",
                    hint=f"name a file for it under {kind}: in the compose files",
                )
    return given


def _service(stack: StackContext, name: str, policy: Policy | None) -> dict[str, Any]:
    service = dict(stack.model.service(name))
    image = service.get("image") or f"{stack.project}-{name}"
    for key in LEFT_OUT:
        service.pop(key, None)
    if deploy := dict(service.pop("deploy", None) or {}):
        deploy.pop("replicas", None)
        service["deploy"] = deploy
    where: dict[str, Any] = {"networks": [NETWORK]}
    if stack.model.service(name).get("network_mode") == "none":
        where = {"network_mode": "none"}
    return {
        **service,
        "image": image,
        "pull_policy": "never",
        "restart": "no",
        "volumes": [_mount(mount, policy) for mount in service.get("volumes") or ()],
        **where,
    }


def _mount(mount: dict[str, Any], policy: Policy | None) -> dict[str, Any]:
    """
    Let a service read the host's folders, and write to none of them.

    A folder with its data becomes a scratch volume.
    """
    if mount.get("type") != "bind":
        return mount
    for data in policy.mounts if policy else ():
        if data.is_bind and data.target == mount["target"]:
            return {"type": "volume", "source": data.key, "target": data.target}
    return {**mount, "read_only": True}


def engine(stack: StackContext, file: Path) -> Engine:
    return stack.engine.for_project(file, project(stack))


def undo(stack: StackContext, journal: Journal) -> None:
    """Remove all that a drill made. Can be repeated."""
    helper.remove_strays(stack, journal.facts["run"])
    # The folder of the state, or the checkout, may have moved since.
    file = stack.state / Path(journal.facts["file"]).name
    if file.exists():
        engine(stack, file).down(volumes=True)
        file.unlink(missing_ok=True)
    journal.close()
