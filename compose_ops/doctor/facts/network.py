"""Facts of the network: containers, networks, and this machine's routes."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_address
from pathlib import Path

from compose_ops.docker.api import Container, EngineInfo, Network
from compose_ops.doctor.registry import NotMeasuredError, fact
from compose_ops.project.model import Model
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.engine_location import EngineLocation


@dataclass(frozen=True, slots=True)
class Route:
    network: IPv4Network
    interface: str


@fact(limit=15)
def all_containers(stack: StackContext, info: EngineInfo) -> tuple[Container, ...]:
    """Return all containers of the engine, as they were when the stack was opened."""
    del info
    if stack.known is None:  # the engine was too slow then, and answers now
        return stack.engine.containers()
    return stack.everyone


@fact(limit=4)
def ours(
    stack: StackContext, all_containers: tuple[Container, ...]
) -> tuple[Container, ...]:
    """Return the services' containers, when the project is this checkout's."""
    if stack.other_checkout is not None:
        raise NotMeasuredError(f"{stack.project} is another checkout's project")
    return tuple(c for c in all_containers if is_services(stack, c))


def is_services(stack: StackContext, container: Container) -> bool:
    """Say whether a container is a service's, not one that `compose run` made."""
    return container.project == stack.project and not container.is_one_off


@fact(limit=2)
def running(
    stack: StackContext, all_containers: tuple[Container, ...]
) -> frozenset[str]:
    """Return the services of this checkout's project that run."""
    if stack.other_checkout is not None:
        return frozenset()
    return frozenset(
        c.service for c in all_containers if c.is_running and is_services(stack, c)
    )


@fact(limit=22)
def profiled(
    stack: StackContext, ours: tuple[Container, ...], model: Model
) -> frozenset[str]:
    """Return the services of all profiles; asked only where it makes a difference."""
    if all(container.service in model.services for container in ours):
        return frozenset(model.services)
    return stack.engine.profiled_services()


@fact(limit=15)
def networks(stack: StackContext, info: EngineInfo) -> tuple[Network, ...]:
    del info
    return stack.networks


@fact(limit=4)
def routes(local: EngineLocation) -> tuple[Route, ...]:
    """Routes of this machine, without the default one and those of single hosts."""
    del local
    return parse_routes(Path("/proc/net/route").read_text().splitlines()[1:])


def parse_routes(lines: Iterable[str]) -> tuple[Route, ...]:
    """Read lines of /proc/net/route: interface, destination, ..., mask in column 8."""
    found = []
    for line in lines:
        words = line.split()
        address, mask = (
            str(ip_address(struct.pack("<I", int(words[i], 16)))) for i in (1, 7)
        )
        network = IPv4Network(f"{address}/{mask}", strict=False)
        if 0 < network.prefixlen < network.max_prefixlen:
            found.append(Route(network, words[0]))
    return tuple(found)
