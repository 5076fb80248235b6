"""Why two generations of a service cannot run side by side."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from compose_ops.docker.api import Container, Usage
from compose_ops.rollout.policy import DATA_LABEL
from compose_ops.units import readable_size


def to_start_first(service: Mapping[str, Any]) -> Iterator[str]:
    """Yield each reason in the model against starting a new replica beside the old."""
    if name := service.get("container_name"):
        yield f"its name {name} is fixed"
    for port in service.get("ports") or ():
        published = str(port.get("published") or "")
        if published not in {"", "0"} and "-" not in published:
            yield f"its port {published} is fixed"
    if service.get("network_mode") == "host":
        yield "it uses the host's network"
    for name, network in (service.get("networks") or {}).items():
        if (network or {}).get("ipv4_address"):
            yield f"its address on {name} is fixed"
    for device in _devices(service):
        if "gpu" in (device.get("capabilities") or ()):
            yield "the GPU that it reserves is taken by the replica that runs"
    if DATA_LABEL in (service.get("labels") or {}):
        yield "two of it would write to one volume"


def is_within_limits(
    running: Sequence[Container], *, total: int, limit: int, surge: int
) -> bool:
    """
    Say whether all may use what they may at most, and *surge* more beside them.

    Then nobody needs to know what they use. *limit* is that of the new ones; without
    one (0) a container may use all.
    """
    most = sum(int(_host(c).get("Memory") or total) for c in running)
    return most + surge * (limit or total) <= total


def memory(
    running: Sequence[Container],
    usage: Iterable[Usage],
    *,
    total: int,
    service: str,
    reserved: int,
    surge: int,
) -> str:
    """
    Return why *surge* more replicas do not fit into the machine's memory, or "".

    A container counts with what it uses or, where that is more, has reserved: the rest
    of its limit is not promised to anybody. A new replica has *reserved* what the model
    says, and uses what the others do.
    """
    used = {sample.container: sample.memory for sample in usage}
    claims = {c.id: max(used.get(c.id, 0), _reserved(c)) for c in running}
    own = [used.get(c.id, 0) for c in running if c.service == service]
    each = max([reserved, *own])
    free = total - sum(claims.values())
    if surge * each <= free:
        return ""
    return (
        f"{surge} more would need {readable_size(surge * each)} of memory, "
        f"{readable_size(max(free, 0))} of {readable_size(total)} is not claimed"
    )


def _devices(service: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    resources = (service.get("deploy") or {}).get("resources") or {}
    return (resources.get("reservations") or {}).get("devices") or ()


def _reserved(container: Container) -> int:
    return int(_host(container).get("MemoryReservation") or 0)


def _host(container: Container) -> Mapping[str, Any]:
    found: Mapping[str, Any] = container.raw.get("HostConfig") or {}
    return found
