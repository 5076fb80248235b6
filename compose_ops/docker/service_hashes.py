"""
What `docker compose up` hashes of a service, as far as that can be known before.

`docker compose config --hash` reads the compose files: it hashes `env_file`, and
`service:NAME` where a namespace is shared. `up` hashes the variables that the env files
hold, and the container that NAME has. So Compose is given its own merged model back, in
which the env files are read, with the containers put in.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from compose_ops.docker.api import Container

NAMESPACES = ("network_mode", "pid", "ipc")
SHARED = "service:"


def shares(service: Mapping[str, Any]) -> bool:
    """Say whether a service lives in a namespace of another service's container."""
    return any(str(service.get(key) or "").startswith(SHARED) for key in NAMESPACES)


def as_created(merged: str, containers: Iterable[Container]) -> str:
    """
    Return a merged model with containers for services whose namespace is shared.

    One whose service has no container stays as it is: it is created together with it.
    """
    model = json.loads(merged)
    if not any(map(shares, model["services"].values())):
        return merged
    first: dict[str, str] = {}
    for container in sorted(containers, key=lambda one: one.number, reverse=True):
        if container.project == model["name"] and not container.is_one_off:
            first[container.service] = container.id
    for service in model["services"].values():
        for key in NAMESPACES:
            name = str(service.get(key) or "").removeprefix(SHARED)
            if str(service.get(key) or "").startswith(SHARED) and name in first:
                service[key] = f"container:{first[name]}"
    return json.dumps(model)


def unknown(merged: str) -> frozenset[str]:
    """
    Return the services whose hash cannot be known before Compose creates them.

    In `volumes_from` it hashes an id that no compose file may hold.
    """
    services = json.loads(merged)["services"]
    return frozenset(name for name, one in services.items() if one.get("volumes_from"))
