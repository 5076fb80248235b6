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


def named(service: Service, other: Service) -> str:
    """Return the variable by which a service names another, empty for none."""
    known = names_of(other)
    names = "|".join(re.escape(name) for name in known)
    for key, value in service.environment.items():
        if not any(name in value for name in known):  # to compile takes 0.2 ms
            continue
        inside = re.search(rf"(^|//|@|,|=)({names})(:\d+)(/|,|$|\?)", value)
        url = re.search(rf"://([^/@\s]*@)?({names})(/|$|\?)", value)
        bare = POINTS.search(key) and re.fullmatch(names, value)
        if inside or url or bare:
            return key
    return ""


def names_of(service: Service) -> list[str]:
    """Return the names by which others on a network find a service."""
    attached = service.get("networks", default={})
    aliases = [
        alias
        for spec in attached.values()
        for alias in (spec or {}).get("aliases") or ()
    ]
    fixed = service.get("container_name", default="")
    return [service.name, *([fixed] if fixed else []), *aliases]


def talking(subject: LintTarget) -> Iterator[tuple[Service, Service, str]]:
    """Yield services that name each other on networks, with the variable."""
    for service in subject.services:
        hosts = {
            str(h).split("=")[0].split(":")[0]
            for h in service.get("extra_hosts", default=[])
        }
        for other in subject.services:
            if service is other or other.name in hosts or not service.networks:
                continue
            variable = named(service, other)
            if variable:
                yield service, other, variable


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
    for service, other, variable in talking(subject):
        if other.networks and not set(service.networks) & set(other.networks):
            yield RawFinding(
                service.path("environment", variable),
                f"{service.name} names {other.name} in {variable} "
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
    for service, other, variable in talking(subject):
        shared = closed & set(service.networks) & set(other.networks)
        for name in sorted(shared):
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
    "warning",
    "A network's name decides through which network a service's packets leave.",
    why="On several open networks the default route goes through the one whose name "
    "sorts first; renaming one, or adding one, moves the way out.",
    source="run on Engine 26.1.5",
    repair="Keep one open network per service, or set `gw_priority` (Engine 28).",
)
def default_route_by_name(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        attached = service.get("networks", default={})
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
