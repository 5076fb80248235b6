"""Published ports and container names: reachable, private, and free to be doubled."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from compose_ops.lint.composefile import Document, Node
from compose_ops.lint.finding import RawFinding
from compose_ops.lint.registry import rule
from compose_ops.lint.rules.products import product_of
from compose_ops.lint.shell_programs import stated_ports
from compose_ops.lint.target import LintTarget, Service
from compose_ops.units import whole

ANY_ADDRESS = frozenset({"", "0.0.0.0", "::", "[::]"})  # noqa: S104 - looked for, not bound


WRITTEN = re.compile(r"\$\{[^}]*\}|\$\w+|[^:$]+|:")


def own_path(service: Service, key: str) -> tuple[str | int, ...]:
    """Return the path of a setting, or of the service where it is only extended."""
    path = service.path(key)
    written = any(one.find(path) for one in service.subject.documents)
    return path if written else service.path()


def port_hit(
    service: Service, port: Mapping[str, Any], message: str, severity: str = ""
) -> RawFinding:
    """Return a hit at a port as its file writes it."""
    best: tuple[int, Document, Node] | None = None
    for document in service.subject.documents:
        for node in (document.find(service.path("ports")) or Node(1, ())).items():
            score = likeness(node, port)
            if score and (best is None or score >= best[0]):
                best = score, document, node
    path = service.path("ports", str(port["target"]))
    if best is None:
        return RawFinding(service.path("ports"), message, severity)
    _, document, node = best
    return RawFinding(path, message, severity, document.path, node.line, node.column)


def likeness(node: Node, port: Mapping[str, Any]) -> int:
    """Return how well a written port fits one of the model, 0 for not at all."""
    target, published = str(port["target"]), str(port.get("published") or "")
    address = str(port.get("host_ip") or "")
    if node.members():
        parts = [node.at(one) for one in ("host_ip", "published", "target")]
        texts = [one.text() if one is not None else "" for one in parts]
    else:
        texts = cut_port(node.text())
    return fits(texts[2], target, 4) and (
        fits(texts[2], target, 4)
        + fits(texts[1], published, 2)
        + fits(texts[0], address, 1)
    )


def cut_port(text: str) -> list[str]:
    """Return address, host port and container port of the short form."""
    parts = [""]
    for word in WRITTEN.findall(text.partition("/")[0]):
        if word == ":":
            parts.append("")
        else:
            parts[-1] += word
    address = ":".join(parts[:-2])
    return [address.strip("[]"), parts[-2] if len(parts) > 1 else "", parts[-1]]


def fits(text: str, value: str, weight: int) -> int:
    """Return the weight where a written text is, or may be, a value."""
    if text == value:
        return 2 * weight
    first, dash, last = text.partition("-")
    low, port, high = whole(first), whole(value), whole(last)
    if dash and low is not None and port is not None and high is not None:
        return weight if low <= port <= high else 0
    return weight if "$" in text else 0


def host_ports(port: Mapping[str, Any]) -> range:
    """Return the host's ports, an empty range where the engine chooses."""
    first, _, last = str(port.get("published") or "").partition("-")
    low, high = whole(first), whole(last or first)
    if not low or high is None:
        return range(0)
    return range(low, high + 1)


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
    "neighbour reaches a service that was meant for this machine. An error for a "
    "database's own port.",
    source="docs.docker.com, Packet filtering and firewalls; run on Engine 26.1.5",
    repair="Name the address: `127.0.0.1:8000:8000`.",
)
def port_on_all_interfaces(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        for port in open_ports(service):
            store = service.store
            if store is not None and port["target"] in store.ports:
                yield port_hit(
                    service,
                    port,
                    f"{service.name} publishes {store.name}'s port {port['target']} "
                    "on all interfaces",
                    "error",
                )
            else:
                yield port_hit(
                    service,
                    port,
                    f"{service.name} publishes {port['target']} on all interfaces",
                )


def open_ports(service: Service) -> list[Mapping[str, Any]]:
    """Return the ports that a service publishes on every address of the host."""
    if service.get("network_mode") or is_internal(
        service.subject.model, service.networks
    ):
        return []
    return [port for port in service.ports if port.get("host_ip", "") in ANY_ADDRESS]


@rule(
    "port-taken-twice",
    "error",
    "Two services publish the same port of the host.",
    why="The second one stays Created with `port is already allocated`.",
    source="run on Engine 26.1.5",
    repair="Give one of them another port, or a variable of its own.",
)
def port_taken_twice(subject: LintTarget) -> Iterator[RawFinding]:
    taken: dict[tuple[int, str], list[tuple[Service, str]]] = defaultdict(list)
    for service in subject.services:
        if service.get("network_mode"):
            continue
        for port in service.ports:
            address, numbers = port.get("host_ip", ""), host_ports(port)
            if len(numbers) != 1:
                continue  # of a range the engine takes a free one
            held = taken[numbers[0], port.get("protocol", "tcp")]
            clash = [
                other
                for other, its in held
                if meet(address, its) and service.together(other)
            ]
            if clash:
                message = (
                    f"{service.name} and {clash[0].name} both publish {numbers[0]}"
                    if clash[0] is not service
                    else f"{service.name} publishes {numbers[0]} twice"
                )
                path = own_path(service, "ports")
                if path == service.path():
                    yield RawFinding(path, message)
                else:
                    yield port_hit(service, port, message)
            held.append((service, address))


def meet(one: str, other: str) -> bool:
    """Say whether two host addresses claim the same one; families do not meet."""
    one, other = one.strip("[]"), other.strip("[]")
    if one == other or "" in {one, other}:
        return True
    if (":" in one) != (":" in other):
        return False
    return one in ANY_ADDRESS or other in ANY_ADDRESS


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
        listens = stated_ports(service.argv)
        for port in service.ports if listens else ():
            if port["target"] not in listens and port.get("protocol") != "udp":
                yield port_hit(
                    service,
                    port,
                    f"port {port['target']}: {service.name}'s command probably listens "
                    f"on {', '.join(map(str, sorted(listens)))} only",
                )
        product = product_of(service)
        for port in service.ports if product else ():
            fault = product.silent.get(port["target"]) if product else None
            reason = fault(service) if fault else ""
            if reason:
                yield port_hit(service, port, f"port {port['target']}: {reason}")


def doubled(service: Service) -> str:
    """Return why a service runs more than once, empty when it does not."""
    if service.subject.is_swarm:
        return ""
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
                yield port_hit(
                    service,
                    port,
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
    seen: dict[str, list[Service]] = defaultdict(list)
    for service in subject.services:
        name = service.get("container_name", default="")
        same = [one for one in seen[name] if one.together(service)] if name else []
        if same:
            yield RawFinding(
                own_path(service, "container_name"),
                f"{service.name} and {same[0].name} are both named {name}",
            )
        seen[name].append(service)
