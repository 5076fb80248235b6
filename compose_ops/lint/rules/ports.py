"""Published ports and container names: reachable, private, and free to be doubled."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from compose_ops.lint.finding import RawFinding
from compose_ops.lint.registry import rule
from compose_ops.lint.rules.products import product_of
from compose_ops.lint.target import LintTarget, Service

ANY_ADDRESS = frozenset({"", "0.0.0.0", "::", "[::]"})  # noqa: S104 - looked for, not bound


def port_path(service: Service, port: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Return the path of a port as its file writes it."""
    published, target = port.get("published"), port["target"]
    for text in (f"{published}:{target}", f":{target}", str(target)):
        path = service.path("ports", text)
        if any(document.find(path) for document in service.subject.documents):
            return path
    return service.path("ports")


def host_ports(port: Mapping[str, Any]) -> range:
    """Return the host's ports, an empty range where the engine chooses."""
    first, _, last = str(port.get("published") or "").partition("-")
    if not first.isdigit() or int(first) == 0:
        return range(0)
    return range(int(first), int(last or first) + 1)


def is_internal(model: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    """Say whether all these networks are internal, False for none."""
    networks = model.get("networks") or {}
    return bool(names) and all(
        (networks.get(name) or {}).get("internal") for name in names
    )


def opened_elsewhere(subject: LintTarget, name: str) -> bool:
    """Say whether another combination puts the service on an open network."""
    for model in subject.others:
        spec = (model.get("services") or {}).get(name)
        names = tuple((spec or {}).get("networks") or ())
        if names and not is_internal(model, names):
            return True
    return False


@rule(
    "ports-on-internal",
    "error",
    "A service publishes ports but is on internal networks only.",
    why="The engine publishes nothing for such a container and says nothing: the port "
    "is in the file, and a connection is refused. A note where another combination "
    "of the project's files opens the service.",
    source="run on Engine 26.1.5; moby/moby#36174, #44986; docker/compose#6534",
    repair="Put the service on one network that is not internal, or drop the ports.",
)
def ports_on_internal(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        if service.ports and is_internal(subject.model, service.networks):
            severity = "note" if opened_elsewhere(subject, service.name) else ""
            ports = ", ".join(str(port["target"]) for port in service.ports)
            yield RawFinding(
                service.path("ports"),
                f"{service.name} publishes {ports} on internal networks only: "
                "nothing is published",
                severity,
            )


@rule(
    "port-on-all-interfaces",
    "warning",
    "A port is published on every address of the host.",
    why="The engine opens it past the host's firewall (its rules come first), so every "
    "neighbour reaches a service that was meant for this machine.",
    source="docs.docker.com, Packet filtering and firewalls; run on Engine 26.1.5",
    repair="Name the address: `127.0.0.1:8000:8000`.",
)
def port_on_all_interfaces(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        for port in service.ports:
            if port.get("host_ip", "") in ANY_ADDRESS:
                yield RawFinding(
                    port_path(service, port),
                    f"{service.name} publishes {port['target']} on all interfaces",
                )


@rule(
    "port-taken-twice",
    "error",
    "Two services publish the same port of the host.",
    why="The second one stays Created with `port is already allocated`.",
    source="run on Engine 26.1.5",
    repair="Give one of them another port, or a variable of its own.",
)
def port_taken_twice(subject: LintTarget) -> Iterator[RawFinding]:
    taken: dict[tuple[int, str], list[tuple[str, str]]] = defaultdict(list)
    for service in subject.services:
        for port in service.ports:
            address = port.get("host_ip", "")
            for number in host_ports(port):
                key = (number, port.get("protocol", "tcp"))
                clash = [name for name, other in taken[key] if meet(address, other)]
                if clash:
                    yield RawFinding(
                        port_path(service, port),
                        f"{service.name} and {clash[0]} both publish {number}",
                    )
                taken[key].append((service.name, address))


def meet(one: str, other: str) -> bool:
    return one == other or one in ANY_ADDRESS or other in ANY_ADDRESS


@rule(
    "port-nothing-listens",
    "warning",
    "A port is published at which the program does not listen.",
    why="The engine accepts the connection and drops it: a client hangs or is reset, "
    "while the port looks open.",
    source="memgraph/documentation install-memgraph (Lab is memgraph/lab); EventStore "
    "oss-v23.10.0 docs/networking.md (external TCP is off by default)",
    repair="Turn the listener on, or drop the port.",
)
def port_nothing_listens(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        product = product_of(service)
        for port in service.ports if product else ():
            fault = product.silent.get(port["target"]) if product else None
            reason = fault(service) if fault else ""
            if reason:
                yield RawFinding(
                    port_path(service, port), f"port {port['target']}: {reason}"
                )


def doubled(service: Service) -> str:
    """Return why a service runs more than once, empty when it does not."""
    if service.replicas > 1:
        return f"{service.replicas} replicas"
    return "an update that starts first" if service.starts_first else ""


@rule(
    "fixed-name-doubled",
    "error",
    "A service with a fixed container name is to run more than once.",
    why="A container name is unique. Compose refuses the file, or the scale, so "
    "neither replicas nor an update that starts first can work.",
    source="compose-go loader/validate.go:177; run on Compose 2.26.1: exit code 15",
    repair="`container_name: !reset null` where it is doubled.",
)
def fixed_name_doubled(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        reason, name = doubled(service), service.get("container_name")
        if reason and name:
            yield RawFinding(
                service.path("container_name"),
                f"{service.name} has the fixed name {name} and {reason}",
            )


@rule(
    "fixed-port-doubled",
    "error",
    "A service with a fixed host port is to run more than once.",
    why="The second container fails with `port is already allocated`; an update stops "
    "with the old one replaced already.",
    source="run on Compose 2.26.1",
    repair="Put a proxy before it, publish a range, or reset `ports` there.",
)
def fixed_port_doubled(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        reason = doubled(service)
        needed = service.replicas + int(service.starts_first)
        for port in service.ports if reason else ():
            if 0 < len(host_ports(port)) < needed:
                yield RawFinding(
                    port_path(service, port),
                    f"{service.name} has the fixed port {port['published']} "
                    f"and {reason}",
                )


@rule(
    "name-taken-twice",
    "error",
    "Two services have the same container name.",
    why="The second container cannot be created. `extends` copies the name along.",
    source="run on Compose 2.26.1: `extends` inherits container_name and ports",
    repair="Give each its own name, or none.",
)
def name_taken_twice(subject: LintTarget) -> Iterator[RawFinding]:
    seen: dict[str, str] = {}
    for service in subject.services:
        name = service.get("container_name", default="")
        if name and name in seen:
            yield RawFinding(
                service.path("container_name"),
                f"{service.name} and {seen[name]} are both named {name}",
            )
        seen.setdefault(name, service.name)
