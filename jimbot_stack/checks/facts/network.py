"""Facts of the network: who listens, which networks and routes there are."""

import errno
import os
import re
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_address
from pathlib import Path

from jimbot_stack.checks.facts.engine import Place
from jimbot_stack.checks.registry import NotMeasuredError, fact
from jimbot_stack.engine import Container, EngineInfo, Network
from jimbot_stack.model import Model, Port
from jimbot_stack.stack import Stack

LISTENING = "0A"
INODE = 9
_SOCKET = re.compile(r"socket:\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a wanted port: a container, a process, or nobody that can be named."""

    port: Port
    container: str = ""
    project: str = ""
    process: str = ""


@dataclass(frozen=True, slots=True)
class PortFacts:
    """Wanted ports that are held, addresses that this machine lacks, free ports."""

    held: tuple[Holder, ...]
    absent_addresses: tuple[str, ...]
    spare: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Route:
    network: IPv4Network
    interface: str


@fact(limit=10)
def everyone(stack: Stack, info: EngineInfo) -> tuple[Container, ...]:
    """Return every container of the engine, as it was when the stack was opened."""
    del info
    if stack.known is None:  # the engine was too slow then, and answers now
        return stack.engine.containers()
    return stack.everyone


@fact(limit=2)
def ours(stack: Stack, everyone: tuple[Container, ...]) -> tuple[Container, ...]:
    """Return the project's containers, when it is this checkout's."""
    if stack.other_checkout is not None:
        raise NotMeasuredError(f"{stack.project} is another checkout's project")
    return tuple(c for c in everyone if c.project == stack.project)


@fact(limit=10)
def networks(stack: Stack, info: EngineInfo) -> tuple[Network, ...]:
    del info
    return stack.engine.networks()


@fact(limit=3)
def port_facts(
    model: Model,
    wanted: tuple[str, ...],
    everyone: tuple[Container, ...],
    place: Place,
) -> PortFacts:
    published = {
        (p.port, p.protocol): c for c in everyone if c.is_running for p in c.published
    }
    held, absent = [], set()
    for port in model.ports(wanted):
        owner = published.get((port.published, port.protocol))
        if port.published == 0:
            continue
        if owner is not None:
            held.append(Holder(port, owner.name, owner.project))
        elif place.is_local:
            refusal = try_bind(port)
            if refusal == errno.EADDRINUSE:
                held.append(Holder(port, process=listener(port.published)))
            elif refusal == errno.EADDRNOTAVAIL:
                absent.add(port.host)
    spare = {h.port.published: spare_port(h.port, published) for h in held}
    return PortFacts(tuple(held), tuple(sorted(absent)), spare)


def try_bind(port: Port) -> int:
    """Return 0 when *port* can be bound on its address, else the error's number."""
    kind = socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM
    host = port.host or "0.0.0.0"  # noqa: S104 - what the model asks for
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port.published))
        except OSError as refused:
            return refused.errno or errno.EIO
    return 0


def spare_port(port: Port, published: Mapping[tuple[int, str], Container]) -> int:
    """Return the next port above that nobody holds, 0 when there is none near."""
    for number in range(port.published + 1, port.published + 100):
        other = Port(port.service, port.host, number, port.target, port.protocol)
        if (number, port.protocol) not in published and try_bind(other) == 0:
            return number
    return 0


def listener(number: int) -> str:
    """Name the process that listens on a port; empty when it may not be seen."""
    inodes = {i for file in ("tcp", "tcp6", "udp") for i in _inodes(file, number)}
    for process in Path("/proc").glob("[0-9]*"):
        if inodes & set(_sockets(process)):
            name = (process / "comm").read_text().strip()
            return f"{name} (pid {process.name})"
    return ""


def _inodes(file: str, number: int) -> Iterator[str]:
    try:
        lines = Path(f"/proc/net/{file}").read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        words = line.split()
        listening = words[3] == LISTENING or file == "udp"
        if listening and int(words[1].rpartition(":")[2], 16) == number:
            yield words[INODE]


def _sockets(process: Path) -> Iterator[str]:
    try:
        for handle in (process / "fd").iterdir():
            found = _SOCKET.match(os.readlink(handle))  # noqa: PTH115 - no path
            if found:
                yield found[1]
    except OSError:
        return


@fact(limit=2)
def routes(local: Place) -> tuple[Route, ...]:
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
