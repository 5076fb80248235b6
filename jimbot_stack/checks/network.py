"""Ports and subnets of the model, against who holds them."""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network

from jimbot_stack.checks.facts.network import Route
from jimbot_stack.checks.facts.ports import Holder, PortFacts
from jimbot_stack.checks.facts.settings import Settings
from jimbot_stack.checks.registry import check
from jimbot_stack.checks.verdict import Verdict, command, fail, ok, skip
from jimbot_stack.engine import PROJECT_LABEL, Container, Network
from jimbot_stack.model import Model
from jimbot_stack.stack import Stack


@check(
    "ports-free",
    "Nobody else holds a port that the mode publishes.",
    why="The engine creates the container and then cannot start it.",
)
def ports_free(
    stack: Stack, port_facts: PortFacts, settings: Settings
) -> Iterator[Verdict]:
    others = [h for h in port_facts.held if h.project != stack.project]
    for holder in others:
        number = holder.port.published
        spare = port_facts.spare.get(number, 0)
        yield fail(
            f"port {number} of {holder.port.service} is held by {who(holder)}",
            port_repair(settings, holder, spare),
            about=f"{holder.port.protocol} {number}",
        )
    if port_facts.unseen:
        yield skip(f"no container holds a port; {not_asked(port_facts)}")
    elif not others:
        yield ok("every port is free, or held by this project")


def not_asked(port_facts: PortFacts) -> str:
    return f"processes and addresses cannot be seen from here: {port_facts.unseen}"


def who(holder: Holder) -> str:
    if holder.container:
        return f"the container {holder.container}"
    return holder.process or "a process of another user"


def port_repair(settings: Settings, holder: Holder, spare: int) -> str:
    """Return what gives the service another port, or ends the holder."""
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
    stack: Stack,
    model: Model,
    networks: tuple[Network, ...],
    everyone: tuple[Container, ...],
) -> Iterator[Verdict]:
    found = False
    for key, mine in subnets(model).items():
        for network in networks:
            if network.labels.get(PROJECT_LABEL) == stack.project:
                continue
            if meets(mine, network.subnets):
                found = True
                yield fail(
                    f"the subnet {mine} of {key} overlaps the network {network.name}",
                    subnet_repair(network, everyone),
                    about=f"{key} {network.name}",
                )
    if not found:
        yield ok("no other network overlaps")


def meets(mine: IPv4Network, others: tuple[str, ...]) -> bool:
    return any(mine.overlaps(IPv4Network(o)) for o in others if ":" not in o)


def subnet_repair(network: Network, everyone: Iterable[Container]) -> str:
    """Return what removes a network that nobody uses, else what shows its users."""
    if any(network.name in container.networks for container in everyone):
        return command("docker", "network", "inspect", network.name)
    return command("docker", "network", "rm", network.name)


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
        (key, mine, route)
        for key, mine in subnets(model).items()
        for route in foreign
        if mine.overlaps(route.network)
    ]
    for key, mine, route in clashes:
        yield fail(
            f"the subnet {mine} of {key} overlaps the route {route.network} "
            f"of {route.interface}",
            move_subnet(settings, mine, foreign),
            about=f"{key} {route.interface}",
        )
    if not clashes:
        yield ok("no route leads into the model's subnets")


def bridge(network: Network) -> str:
    """Return the interface that the engine makes for a bridge network."""
    options = network.raw.get("Options") or {}
    named = options.get("com.docker.network.bridge.name")
    return str(named or f"br-{network.id[:12]}")


def move_subnet(settings: Settings, mine: IPv4Network, routes: list[Route]) -> str:
    """Return what puts the variable behind a subnet into a range without a route."""
    for second in range(100, 200):
        free = IPv4Network(f"10.{second}.0.0/16")
        if not any(free.overlaps(route.network) for route in routes):
            break
    else:
        return "ip route"
    prefix = str(mine.network_address).rpartition(".")[0]
    third = prefix.split(".")[1]
    for value, kind, new in (
        (str(mine), "_SUBNET", f"10.{second}.{third}.0/{mine.prefixlen}"),
        (prefix, "_PREFIX", f"10.{second}.{third}"),
    ):
        name = settings.variable(value, kind)
        if name:
            return settings.assignment(name, new)
    return "ip route"
