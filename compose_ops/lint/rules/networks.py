"""Networks: declared, free of overlap, and joined by those that talk to each other."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import combinations
from typing import Any

from compose_ops.lint.finding import RawFinding
from compose_ops.lint.registry import rule
from compose_ops.lint.target import LintTarget, Service

ICC = "com.docker.network.bridge.enable_icc"
POINTS = re.compile(
    r"(HOST|HOSTNAME|ADDR|ADDRESS|URL|URI|SERVER|SERVERS|ENDPOINT|BROKER|DSN)S?$"
)


def subnets(spec: Mapping[str, Any]) -> list[IPv4Network | IPv6Network]:
    """Return a network's fixed subnets."""
    configured = (spec.get("ipam") or {}).get("config") or ()
    found = []
    for text in (str(one.get("subnet")) for one in configured):
        with suppress(ValueError):
            found.append(ip_network(text, strict=False))
    return found


def is_made(spec: Mapping[str, Any]) -> bool:
    """Say whether Compose makes the network, as a bridge of this host."""
    return not spec.get("external") and spec.get("driver", "bridge") == "bridge"


@rule(
    "subnet-mixed",
    "warning",
    "Networks with automatic subnets stand beside networks with fixed ones.",
    why="The engine gives an automatic network the next free range, which may be the "
    "one that a fixed network asks for a moment later: `Pool overlaps`.",
    source="run on Engine 26.1.5: 5 of 60 starts failed",
    repair="Give every network a subnet.",
)
def subnet_mixed(subject: LintTarget) -> Iterator[RawFinding]:
    made = {name: spec for name, spec in subject.networks.items() if is_made(spec)}
    fixed = [name for name, spec in made.items() if subnets(spec)]
    for name in made if fixed else ():
        if name not in fixed:
            yield RawFinding(
                ("networks", name),
                f"network {name} has an automatic subnet beside {fixed[0]}'s fixed one",
            )


@rule(
    "subnet-overlap",
    "error",
    "Two networks have overlapping subnets.",
    why="The engine refuses the second: `Pool overlaps with other one on this address "
    "space`.",
    source="run on Engine 26.1.5",
    repair="Choose ranges that do not meet.",
)
def subnet_overlap(subject: LintTarget) -> Iterator[RawFinding]:
    for (one, left), (other, right) in combinations(subject.networks.items(), 2):
        meeting = [
            (a, b)
            for a in subnets(left)
            for b in subnets(right)
            if a.version == b.version and a.overlaps(b)
        ]
        for a, b in meeting:
            yield RawFinding(("networks", other), f"{other} ({b}) overlaps {one} ({a})")


WITH_PORT = re.compile(r"(?:^|//|@|,|=)(\w[\w.-]*):\d+(?=/|,|$|\?)")
IN_URL = re.compile(r"://(?:[^/@\s]*@)?(\w[\w.-]*)(?=/|$|\?)")


def hosts_in(key: str, value: str) -> Iterator[str]:
    """Yield the host names that a variable names, by its address or its own name."""
    yield from WITH_PORT.findall(value)
    yield from IN_URL.findall(value)
    if POINTS.search(key):
        yield value


def names_on(service: Service, network: str) -> set[str]:
    """Return the names by which others on a network find a service."""
    attached = service.get("networks", default={})
    spec = attached.get(network) if isinstance(attached, dict) else None
    aliases = (spec or {}).get("aliases") or ()
    return {service.name, service.get("container_name", default=""), *aliases} - {""}


def holders_by_name(subject: LintTarget) -> dict[str, list[tuple[Service, str]]]:
    """Return the services that each name finds, with the network it does so on."""
    found: dict[str, list[tuple[Service, str]]] = {}
    for service in subject.services:
        for network in service.networks:
            for name in names_on(service, network):
                found.setdefault(name, []).append((service, network))
    return found


Talk = tuple[Service, str, str, list[tuple[Service, str]]]


def talking(subject: LintTarget) -> Iterator[Talk]:
    """Yield a service, its variable, the host named, and who has that name where."""
    holders = holders_by_name(subject)
    for service in subject.services:
        if not service.networks:
            continue
        fixed = {
            re.split("[=:]", str(host))[0]
            for host in service.get("extra_hosts", default=[])
        }
        linked = {
            str(one).rpartition(":")[2] for one in service.get("links", default=[])
        }
        seen: set[str] = set()
        for key, value in service.environment.items():
            for host in hosts_in(key, value):
                others = [h for h in holders.get(host, ()) if h[0] is not service]
                own = len(others) < len(holders.get(host, ()))
                if others and not own and host not in fixed | linked | seen:
                    seen.add(host)
                    yield service, key, host, others


def is_shared_with_others(subject: LintTarget, service: Service) -> bool:
    """Say whether a network of the service is another project's as well."""
    return any(
        (subject.networks.get(name) or {}).get("external") for name in service.networks
    )


@rule(
    "no-common-network",
    "error",
    "A service names another with which it shares no network.",
    why="The engine's DNS answers only for containers on a common network: the name "
    "does not resolve.",
    source="run on Engine 26.1.5",
    repair="Put both on one network.",
)
def no_common_network(subject: LintTarget) -> Iterator[RawFinding]:
    for service, variable, _, others in talking(subject):
        if any(network in service.networks for _, network in others):
            continue
        if not is_shared_with_others(subject, service):
            yield RawFinding(
                service.path("environment", variable),
                f"{service.name} names {others[0][0].name} in {variable} "
                "but shares no network with it",
            )


@rule(
    "dns-icc-off",
    "error",
    "Services that talk share a network whose members may not reach each other.",
    why="With `enable_icc` false the name still resolves to the address on that "
    "network, and the connection times out, even where a second network would work.",
    source="run on Engine 26.1.5: 3 of 3 look-ups gave the closed address",
    repair="Keep at most one of them on the closed network.",
)
def dns_icc_off(subject: LintTarget) -> Iterator[RawFinding]:
    closed = {
        name
        for name, spec in subject.networks.items()
        if str((spec.get("driver_opts") or {}).get(ICC, "true")).lower() == "false"
    }
    for service, variable, _, others in talking(subject) if closed else ():
        met = sorted((n, o.name) for o, n in others if n in closed)
        for name, other_name in met:
            other = subject.by_name[other_name]
            if name not in service.networks:
                continue
            yield RawFinding(
                other.path("networks", name),
                f"{service.name} names {other.name} in {variable}, and both are on "
                f"{name}, which lets no container reach another",
            )


def is_parked(spec: Mapping[str, Any]) -> bool:
    """Say whether the network's default gateway is an address set aside."""
    configured = (spec.get("ipam") or {}).get("config") or ()
    return any(
        "DefaultGatewayIPv4" in (c.get("aux_addresses") or {}) for c in configured
    )


@rule(
    "default-route-by-name",
    "note",
    "A network's name decides through which network a service's packets leave.",
    why="On several open networks the default route goes through the one whose name "
    "sorts first; renaming one, or adding one, moves the way out.",
    source="run on Engine 26.1.5",
    repair="Keep one open network per service, or set `gw_priority` (Engine 28).",
)
def default_route_by_name(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        attached = service.get("networks", default={})
        attached = attached if isinstance(attached, dict) else {}
        specs = {name: subject.networks.get(name) or {} for name in service.networks}
        leading = {
            name: is_parked(spec)
            for name, spec in specs.items()
            if not spec.get("internal")
        }
        chosen = any((attached.get(name) or {}).get("gw_priority") for name in leading)
        if len(leading) > 1 and not all(leading.values()) and not chosen:
            yield RawFinding(
                service.path("networks"),
                f"{service.name} is on {' and '.join(sorted(leading))}: "
                "the first by name becomes its default route",
            )
