"""What may write to the stores, and does not rest, under a set of one moment."""

from collections.abc import Collection, Iterable, Sequence

from compose_ops.backup import service_control
from compose_ops.backup.service_control import LIVING
from compose_ops.backup.store_backup import StoreBackup
from compose_ops.console import say
from compose_ops.docker.api import Container
from compose_ops.errors import DataError
from compose_ops.project.labels import GATEWAY_LABEL
from compose_ops.runtime.context import StackContext

DEPENDS_LABEL = "com.docker.compose.depends_on"
"""Compose notes `depends_on` in it: SERVICE:CONDITION:RESTART, with commas between."""
SHARED = "container:"


def check(stack: StackContext, items: Sequence[StoreBackup]) -> None:
    """
    Raise DataError when a container of the project may write that nobody lets rest.

    These are containers of `docker compose run`, and of services that the model does
    not have (an inactive profile, an older compose file), that depend on a store; the
    latter also where they share a network with one. A service without depends_on that
    shares one is named: whether it writes nobody can tell.
    """
    everyone = stack.engine.containers()
    stores = {item.policy.service for item in items}
    resting = {*stores, *service_control.affected_by(stack, stores)}
    own = [c for c in everyone if c.project == stack.project and c.service]
    living = [c for c in own if c.state in LIVING and GATEWAY_LABEL not in c.labels]
    networks = {
        network
        for c in own
        if c.service in stores and not c.is_one_off
        for network in _networks(c, everyone)
    }
    writers, beside = [], []
    for container in living:
        known = container.service in stack.model.services
        if known and not container.is_one_off and container.service in resting:
            continue
        depends = bool(resting.intersection(_needs(container)))
        near = bool(networks & _networks(container, everyone))
        if depends or (near and not known):
            writers.append(container)
        elif near:
            beside.append(container)
    _refuse(writers)
    if beside:
        names = ", ".join(sorted(c.name for c in beside))
        say(f"{names}: no depends_on a store, goes on during the copy")


def _refuse(writers: Sequence[Container]) -> None:
    if not writers:
        return
    names = ", ".join(f"{c.name} ({_origin(c)})" for c in writers)
    raise DataError(
        f"the set would not be of one moment: {names} may write to the stores",
        hint=f"end that first: docker stop {' '.join(c.name for c in writers)}; or "
        "take each store by itself: coherent = false under [backup]",
    )


def _origin(container: Container) -> str:
    return "docker compose run" if container.is_one_off else "no service of this model"


def _needs(container: Container) -> Iterable[str]:
    """Return the service of a container, and those that it was created to depend on."""
    stated = container.labels.get(DEPENDS_LABEL, "").split(",")
    return (container.service, *(one.partition(":")[0] for one in stated))


def _networks(container: Container, everyone: Collection[Container]) -> set[str]:
    """Return the networks that a container is in, also by another's namespace."""
    mode = str((container.raw.get("HostConfig") or {}).get("NetworkMode") or "")
    if mode.startswith(SHARED):
        owner = mode.removeprefix(SHARED)
        shared = [c for c in everyone if owner in {c.id, c.name}]
        return {name for c in shared for name in c.networks} - {"none"}
    return set(container.networks) - {"none"}
