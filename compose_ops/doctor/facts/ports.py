"""Facts of the ports that the model publishes: who holds them on this machine."""

import errno
import os
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compose_ops.docker.api import Container
from compose_ops.doctor.registry import fact
from compose_ops.project.model import Model, Port
from compose_ops.runtime.engine_location import EngineLocation

HOLDING = frozenset({"running", "paused", "restarting"})
"""States in which a container holds its ports."""

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
    """
    Wanted ports that are held, addresses that this machine lacks, free ports.

    `unseen` tells why only containers could be asked; empty where processes were, too.
    """

    held: tuple[Holder, ...]
    absent_addresses: tuple[str, ...]
    spare: Mapping[int, int]
    unseen: str = ""


@fact(limit=6)
def port_facts(
    model: Model,
    wanted: tuple[str, ...],
    all_containers: tuple[Container, ...],
    place: EngineLocation,
) -> PortFacts:
    running = [c for c in all_containers if c.state in HOLDING]
    held, absent = [], set()
    for port in model.ports(wanted):
        owner = owner_of(port, running, model.project)
        if port.published == 0:
            continue
        if owner is not None:
            held.append(Holder(port, owner.name, owner.project))
        elif place.is_local:
            refusal = try_bind(port)
            if refusal == errno.EADDRINUSE or (
                refusal == errno.EACCES and is_listened_to(port)
            ):
                held.append(Holder(port, process=listener(port.published)))
            elif refusal == errno.EADDRNOTAVAIL:
                absent.add(port.host)
    foreign = [h.port for h in held if h.project != model.project]
    bind = try_bind if place.is_local else lambda _port: 0
    spare = {port.published: spare_port(port, running, bind) for port in foreign}
    return PortFacts(tuple(held), tuple(sorted(absent)), spare, place.why)


def owner_of(
    port: Port, running: Sequence[Container], project: str
) -> Container | None:
    """Return who publishes *port* on one of its addresses, others than us first."""
    owners = [
        container
        for container in running
        for other in container.published
        if (other.port, other.protocol) == (port.published, port.protocol)
        and meet(port.host, other.host)
    ]
    return min(owners, key=lambda one: one.project == project, default=None)


def meet(first: str, second: str) -> bool:
    """Say whether two addresses of a port are in each other's way."""
    if "" in {first, second} or first == second:
        return True
    if (":" in first) != (":" in second):
        return False
    return bool({first, second} & {"0.0.0.0", "::"})  # noqa: S104 - compared, not bound


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


def spare_port(
    port: Port, running: Sequence[Container], bind: Callable[[Port], int]
) -> int:
    """Return the next port above that nobody holds, 0 when there is none near."""
    for number in range(port.published + 1, port.published + 100):
        other = Port(port.service, port.host, number, port.target, port.protocol)
        if owner_of(other, running, "") is None and bind(other) == 0:
            return number
    return 0


def is_listened_to(port: Port) -> bool:
    """Say so for a port that this user may not bind, as one below 1024."""
    files = ("udp", "udp6") if port.protocol == "udp" else ("tcp", "tcp6")
    return any(True for file in files for _ in _inodes(file, port.published, port.host))


def listener(number: int) -> str:
    """Name the process that listens on a port; empty when it may not be seen."""
    files = ("tcp", "tcp6", "udp", "udp6")
    inodes = {i for file in files for i in _inodes(file, number)}
    for process in Path("/proc").glob("[0-9]*"):
        if inodes & set(_sockets(process)):
            name = (process / "comm").read_text().strip()
            return f"{name} (pid {process.name})"
    return ""


def _inodes(file: str, number: int, host: str = "") -> Iterator[str]:
    try:
        lines = Path(f"/proc/net/{file}").read_text().splitlines()[1:]
    except OSError:
        return
    yield from listening(lines, number, host, is_udp=file.startswith("udp"))


def listening(
    lines: Iterable[str], number: int, host: str, *, is_udp: bool
) -> Iterator[str]:
    """Yield the inodes of sockets on a port and address, of /proc/net/tcp's lines."""
    for line in lines:
        words = line.split()
        address, _, port = words[1].rpartition(":")
        is_open = int(port, 16) == number and (is_udp or words[3] == LISTENING)
        if is_open and meet(host, _reach(address_of(address))):
            yield words[INODE]


def _reach(address: str) -> str:
    """Return what a process's socket covers: one on :: takes IPv4, too."""
    return "" if address == "::" else address.removeprefix("::ffff:")


def address_of(digits: str) -> str:
    """Return the address behind /proc/net's digits: each four bytes turned round."""
    words = [bytes.fromhex(digits[i : i + 8])[::-1] for i in range(0, len(digits), 8)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    return socket.inet_ntop(family, b"".join(words))


def _sockets(process: Path) -> Iterator[str]:
    try:
        for handle in (process / "fd").iterdir():
            found = _SOCKET.match(os.readlink(handle))  # noqa: PTH115 - no path
            if found:
                yield found[1]
    except OSError:
        return
