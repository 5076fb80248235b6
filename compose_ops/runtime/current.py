"""Whether containers are as the files say now: hash, image, and contents of files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from compose_ops.docker.api import Container
from compose_ops.errors import ComposeOpsError
from compose_ops.project.model import Model
from compose_ops.runtime import config_hashes, contents
from compose_ops.runtime.context import StackContext


@dataclass(frozen=True, slots=True)
class Currency:
    """Why a container is not current, and whether some of its contents are unknown."""

    causes: tuple[str, ...] = ()
    is_unknown: bool = False


def judge(stack: StackContext, containers: Iterable[Container]) -> dict[str, Currency]:
    """
    Return what is to be said of each container, by its id.

    Where Compose or the engine gives no answer, that part is not judged.
    """
    there = [c for c in containers if c.service in stack.model.services]
    judged = contents.judge(contents.look(stack), there)
    try:
        hashes = config_hashes.of(stack) if there else {}
        images = stack.engine.images({stack.model.image_name(c.service) for c in there})
    except ComposeOpsError:
        hashes, images = {}, {}
    found = {c.id: Currency() for c in containers}
    for container in there:
        of = judged.get(container.id, contents.Judgement())
        image = images.get(stack.model.image_name(container.service))
        causes = list(of.causes)
        if (
            hashes.get(container.service, container.config_hash)
            != container.config_hash
        ):
            causes.insert(0, "created from older files")
        if image is not None and image.id != container.image_id:
            causes.insert(0, "runs an older image")
        lost = lost_networks(stack.model, container, hashes)
        causes += [f"is not connected to {name}" for name in lost]
        if container.state == "paused":
            causes.append("is paused")
        found[container.id] = Currency(tuple(causes), of.is_unknown)
    return found


def lost_networks(
    model: Model, container: Container, hashes: Mapping[str, str]
) -> list[str]:
    """
    Return the networks of its service that a running container lost.

    One that was created from older files is not judged: it is recreated anyway.
    """
    wanted = hashes.get(container.service)
    if not container.is_running or wanted != container.config_hash:
        return []
    keys = model.service(container.service).get("networks") or {}
    names = [model.network_name(key) for key in keys]
    return [name for name in names if not is_connected(container, name)]


def is_connected(container: Container, network: str) -> bool:
    """Say whether a running container has an endpoint in a network."""
    settings = container.raw.get("NetworkSettings") or {}
    endpoint = (settings.get("Networks") or {}).get(network) or {}
    return network in container.networks and endpoint.get("EndpointID", "?") != ""
