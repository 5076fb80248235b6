"""Updates and overrides: judged for long enough, and replacing what they mean to."""

from collections.abc import Iterator

from compose_ops.lint.composefile import Document, Node
from compose_ops.lint.finding import RawFinding
from compose_ops.lint.healthcheck import check_of
from compose_ops.lint.quantity import seconds
from compose_ops.lint.registry import rule
from compose_ops.lint.rules.ports import cut_port
from compose_ops.lint.target import LintTarget, Service

DEFAULT_MONITOR = 5.0


@rule(
    "update-monitor-short",
    "warning",
    "An update is watched for less time than its health check needs to fail.",
    why="A new version that never becomes healthy is called a success before the check "
    "can say otherwise: start_period + retries * interval.",
    source="swarmkit updater.go (monitor is 5 s by default); Eldara-Tech/swarmcli#475",
    repair="Set `update_config.monitor` to at least that sum.",
)
def update_monitor_short(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        update = service.get("deploy", "update_config")
        check = check_of(service)
        if update is None or check is None:
            continue
        monitor = seconds(update.get("monitor"), DEFAULT_MONITOR)
        if monitor < check.provable:
            yield RawFinding(
                service.path("deploy", "update_config", "monitor"),
                f"{service.name}'s update is watched for {monitor:g} s, its health "
                f"check can fail after {check.provable:g} s",
                "" if service.rolls or subject.is_swarm else "note",
            )


@rule(
    "override-appends",
    "warning",
    "An override adds to a list that it means to replace.",
    why="Compose appends ports, devices and the like: the old entry stays beside the "
    "new one. A port is then published twice, or refused.",
    source="compose-spec 13-merge.md; run on Compose 2.26.1",
    repair="Write `!override` before the list, or `!reset` it first.",
)
def override_appends(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        targets: dict[str, tuple[Document, list[str]]] = {}
        for document in subject.documents:
            node = document.find(service.path("ports"))
            if node is None or node.tag:
                targets = {} if node is not None else targets
            for text, target, parts in written_ports(node):
                first, before = targets.get(target, (document, parts))
                if first is not document and before != parts:
                    yield RawFinding(
                        service.path("ports", text),
                        f"{service.name} publishes {target} a second time: "
                        f"{first.path.name} does already, and lists grow",
                    )
                targets[target] = (document, parts)
        yield from repeated_options(service)


def written_ports(node: Node | None) -> Iterator[tuple[str, str, list[str]]]:
    """
    Yield each port as it is written, its target with protocol, and its parts.

    Equal entries of two files are one for Compose.
    """
    for item in node.items() if node is not None else ():
        if item.members():
            keys = ("host_ip", "published", "target")
            parts = [n.text() if (n := item.at(key)) else "" for key in keys]
            yield parts[2], parts[2], parts
        elif item.text():
            parts = cut_port(item.text())
            _, slash, protocol = item.text().partition("/")
            yield item.text(), f"{parts[2]}{slash}{protocol}", parts


def repeated_options(service: Service) -> Iterator[RawFinding]:
    """Yield options with a value that a list gives twice, as appended ones do."""
    for key in ("security_opt", "dns", "tmpfs"):
        seen: dict[str, str] = {}
        listed = service.get(key, default=[])
        for one in listed if isinstance(listed, list) else ():
            name, _, value = str(one).replace("=", ":", 1).partition(":")
            if name in seen and seen[name] != value and key != "dns":
                yield RawFinding(
                    service.path(key, name),
                    f"{service.name} has {name} twice in {key}: lists are appended",
                )
            seen[name] = value


IGNORED = ("update_config", "rollback_config", "placement", "endpoint_mode")


@rule(
    "key-ignored",
    "warning",
    "A key is set that Compose ignores.",
    why="`update_config` and `placement` are for a swarm, and the host's network takes "
    "no published ports: the setting looks made and is not.",
    source="docs.docker.com, Compose Deploy Specification; run on Compose 2.26.1",
    repair="Delete it, or deploy the file to the swarm that it is meant for.",
)
def key_ignored(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        if service.get("network_mode") == "host" and service.ports:
            yield RawFinding(
                service.path("ports"),
                f"{service.name} is on the host's network: its ports are ignored",
            )
        deploy = service.get("deploy", default={})
        for key in IGNORED if not (subject.is_swarm or service.rolls) else ():
            if deploy.get(key):
                yield RawFinding(
                    service.path("deploy", key),
                    f"{service.name}: Compose ignores deploy.{key}",
                )
