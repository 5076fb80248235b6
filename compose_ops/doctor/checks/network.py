"""Ports and subnets of the model, and what else uses them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network

from compose_ops.docker.api import PROJECT_LABEL, Container, Network
from compose_ops.doctor.facts.network import Route
from compose_ops.doctor.facts.ports import Holder, PortFacts
from compose_ops.doctor.facts.settings import Settings
from compose_ops.doctor.registry import check
from compose_ops.project.model import Model
from compose_ops.runtime.context import StackContext
from compose_ops.verdicts import Verdict, command, fail, ok, skip

WIDEST, NARROWEST = 16, 24
"""A subnet is moved as a block of this many bits: a prefix variable is of 24."""


@check(
    "ports-free",
    "No other program uses a port that the mode publishes.",
    why="The engine creates the container and then cannot start it.",
)
def ports_free(
    stack: StackContext, port_facts: PortFacts, settings: Settings
) -> Iterator[Verdict]:
    others = [h for h in port_facts.held if h.project != stack.project]
    for holder in others:
        number = holder.port.published
        spare = port_facts.spare.get(number, 0)
        yield fail(
            f"port {number} of {holder.port.service} is used by {who(holder)}",
            port_repair(settings, holder, spare),
            about=f"{holder.port.protocol} {number}",
        )
    if port_facts.unseen:
        yield skip(f"no container uses a port; {not_asked(port_facts)}")
    elif not others:
        yield ok("every port is free, or used by this project")


def not_asked(port_facts: PortFacts) -> str:
    return f"processes and addresses cannot be seen from here: {port_facts.unseen}"


def who(holder: Holder) -> str:
    if holder.container:
        return f"the container {holder.container}"
    return holder.process or "a process of another user"


def port_repair(settings: Settings, holder: Holder, spare: int) -> str:
    """Return the command that gives the service another port, or stops the holder."""
    name = settings.variable(str(holder.port.published), "_PORT")
    if name and spare:
        return settings.assignment(name, str(spare))
    if holder.container:
        return command("docker", "stop", holder.container)
    return f"ss -ltnp 'sport = :{holder.port.published}'"


@check(
    "bind-address",
    "The addresses that ports are published on belong to this machine.",
    why="The engine cannot bind to an address that the machine does not have.",
)
def bind_address(port_facts: PortFacts, settings: Settings) -> Iterator[Verdict]:
    for address in port_facts.absent_addresses:
        yield fail(
            f"this machine has no address {address}",
            settings.assignment("BIND_ADDRESS", "127.0.0.1"),
            about=address,
        )
    if port_facts.unseen:
        yield skip(not_asked(port_facts))
    elif not port_facts.absent_addresses:
        yield ok("the machine has the addresses that ports are published on")


def subnets(model: Model) -> Mapping[str, IPv4Network]:
    """Return the fixed IPv4 subnets of the model's networks."""
    return {
        key: IPv4Network(config["subnet"], strict=False)
        for key, network in model.networks.items()
        for config in ((network or {}).get("ipam") or {}).get("config") or ()
        if ":" not in config.get("subnet", ":")
    }


@check(
    "subnets-free",
    "No other network of the engine overlaps a subnet of the model.",
    why="The engine refuses with `Pool overlaps with other one on this address space`.",
)
def subnets_free(
    stack: StackContext,
    model: Model,
    networks: tuple[Network, ...],
    all_containers: tuple[Container, ...],
    settings: Settings,
) -> Iterator[Verdict]:
    mover = Mover(settings, [*subnets(model).values(), *ranges(networks)])
    clashes = [
        (key, subnet, network)
        for key, subnet in subnets(model).items()
        for network in networks
        if network.labels.get(PROJECT_LABEL) != stack.project
        and any(subnet.overlaps(other) for other in ranges([network]))
    ]
    for key, subnet, network in clashes:
        repair = command("docker", "network", "rm", network.name)
        if any(network.name in container.networks for container in all_containers):
            inspect = command("docker", "network", "inspect", network.name)
            repair = mover.move(subnet) or inspect
        yield fail(
            f"the subnet {subnet} of {key} overlaps the network {network.name}",
            repair,
            about=f"{key} {network.name}",
        )
    if not clashes:
        yield ok("no other network overlaps")


def ranges(networks: Iterable[Network]) -> list[IPv4Network]:
    """Return the IPv4 subnets of the engine's networks."""
    return [IPv4Network(s) for n in networks for s in n.subnets if ":" not in s]


@check(
    "routes-free",
    "No route of this machine leads into a subnet of the model.",
    why="A VPN or a company network in the same range becomes unreachable, or the "
    "containers do.",
)
def routes_free(
    model: Model,
    networks: tuple[Network, ...],
    routes: tuple[Route, ...],
    settings: Settings,
) -> Iterator[Verdict]:
    bridges = {bridge(network) for network in networks}
    foreign = [route for route in routes if route.interface not in bridges]
    clashes = [
        (key, subnet, route)
        for key, subnet in subnets(model).items()
        for route in foreign
        if subnet.overlaps(route.network)
    ]
    taken = [*subnets(model).values(), *ranges(networks), *(r.network for r in foreign)]
    mover = Mover(settings, taken)
    for key, subnet, route in clashes:
        yield fail(
            f"the subnet {subnet} of {key} overlaps the route {route.network} "
            f"of {route.interface}",
            mover.move(subnet) or "ip route",
            about=f"{key} {route.interface}",
        )
    if not clashes:
        yield ok("no route leads into the model's subnets")


def bridge(network: Network) -> str:
    """Return the interface that the engine makes for a bridge network."""
    options = network.raw.get("Options") or {}
    named = options.get("com.docker.network.bridge.name")
    return str(named or f"br-{network.id[:12]}")


@dataclass
class Mover:
    """Finds free ranges for conflicting subnets; none is given twice."""

    settings: Settings
    taken: list[IPv4Network]

    def move(self, subnet: IPv4Network) -> str:
        """Return what sets the variable of a subnet to a free range, or nothing."""
        length = max(WIDEST, min(subnet.prefixlen, NARROWEST))
        free = self._free(length)
        if free is None:
            return ""
        new_subnet = str(
            IPv4Network((free.network_address, max(length, subnet.prefixlen)))
        )
        for value, kind, new in (
            (str(subnet), "_SUBNET", new_subnet),
            (_head(subnet), "_PREFIX", _head(free)),
        ):
            name = self.settings.variable(value, kind)
            if name:
                self.taken.append(free)
                return self.settings.assignment(name, new)
        return ""

    def _free(self, length: int) -> IPv4Network | None:
        for second in range(100, 256):
            for subnet in IPv4Network(f"10.{second}.0.0/16").subnets(new_prefix=length):
                if not any(subnet.overlaps(other) for other in self.taken):
                    return subnet
        return None


def _head(subnet: IPv4Network) -> str:
    """Return the three numbers that a prefix of addresses consists of."""
    return str(subnet.network_address).rpartition(".")[0]
