"""A project for one drill: the stores' images on scratch volumes, on an own network."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compose_ops.backup.policy import Policy, policies_of
from compose_ops.docker.api import Engine
from compose_ops.errors import ConfigurationError, DataError
from compose_ops.project.labels import PREFIX
from compose_ops.runtime.context import StackContext
from compose_ops.state import store

NETWORK = "drill"
LABEL = f"{PREFIX}drill"
"""Holds the drill's run id on everything that the drill creates."""
FILE = "drill.json"
# What ties a service to its neighbours, to the host's ports or to a build.
LEFT_OUT = (
    *("build", "container_name", "depends_on", "extends", "links", "ports"),
    *("networks", "profiles", "restart", "scale", "external_links", "volumes_from"),
    *("network_mode", "pid", "ipc", "uts", "cgroup_parent"),
)
# Where a secret or a config may come from without anything outside the drill.
SOURCES = ("file", "content")


@dataclass(frozen=True, slots=True)
class DrillProject:
    """The Compose project of one drill; `run` is the value of its label."""

    name: str
    run: str

    @property
    def labels(self) -> dict[str, str]:
        return {LABEL: self.run}

    def volume(self, key: str) -> str:
        """Return the name of the scratch volume for an archive."""
        return f"{self.name}_{key}"

    def check_unused(self, engine: Engine) -> None:
        """Raise DataError when the engine has anything of that project's name."""
        found = [
            *(c.name for c in engine.containers(project=self.name)),
            *(v.name for v in engine.volumes() if v.name.startswith(f"{self.name}_")),
            *(n.name for n in engine.networks() if n.name.startswith(f"{self.name}_")),
        ]
        if found:
            raise DataError(
                f"the drill's project name {self.name} is in use: {', '.join(found)}",
                hint="run the drill again: it chooses another name",
            )

    def check_volume(self, engine: Engine, name: str) -> None:
        """Raise DataError when a volume is not one that this drill created."""
        volume = engine.volume(name)
        if volume is None or volume.labels.get(LABEL) != self.run:
            raise DataError(
                f"the volume {name} was not created by the drill",
                hint="run the drill again: it chooses another name",
            )


def choose(stack: StackContext, run: str) -> DrillProject:
    """Return a project for the drill *run*, with a random part in its name."""
    return DrillProject(f"{stack.project}-drill-{secrets.token_hex(4)}", run)


def write(stack: StackContext, drill: DrillProject, services: Sequence[str]) -> Path:
    """Write the drill's compose file with mode 0600 and return its path."""
    path = stack.state / FILE
    store.write(path, json.dumps(model(stack, drill, services)))
    return path


def model(
    stack: StackContext, drill: DrillProject, services: Sequence[str]
) -> dict[str, Any]:
    """Return the compose model of *services* alone, on volumes of their own."""
    known = policies_of(stack)
    chosen = {name: _service(stack, name, known.get(name)) for name in services}
    for service in chosen.values():
        service["labels"] = {**(service.get("labels") or {}), **drill.labels}
    volumes = {
        mount["source"]
        for service in chosen.values()
        for mount in service.get("volumes") or ()
        if mount.get("type") == "volume" and mount.get("source")
    }
    return {
        "name": drill.name,
        "services": chosen,
        "volumes": {key: {"labels": drill.labels} for key in sorted(volumes)},
        "networks": {NETWORK: {"internal": True, "labels": drill.labels}},
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
        "volumes": [_mount(mount, policy) for mount in stack.model.mounts(name)],
        **where,
    }


def _mount(mount: Mapping[str, Any], policy: Policy | None) -> Mapping[str, Any]:
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
