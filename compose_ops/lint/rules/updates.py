"""Updates and overrides: judged for long enough, and replacing what they mean to."""

from collections.abc import Iterator

from compose_ops.lint.composefile import Document, Node
from compose_ops.lint.finding import RawFinding
from compose_ops.lint.healthcheck import check_of
from compose_ops.lint.quantity import seconds
from compose_ops.lint.registry import rule
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
        targets: dict[str, Document] = {}
        for document in subject.documents:
            node = document.find(service.path("ports"))
            if node is None or node.tag:
                targets = {} if node is not None else targets
            for text, target in written_ports(node):
                if target in targets and targets[target] is not document:
                    yield RawFinding(
                        service.path("ports", text),
                        f"{service.name} publishes {target} a second time: "
                        f"{targets[target].path.name} does already, and lists grow",
                    )
                targets[target] = document
        yield from repeated_options(service)


def written_ports(node: Node | None) -> Iterator[tuple[str, str]]:
    """Yield each port as it is written, and its target with protocol."""
    for item in node.items() if node is not None else ():
        target = item.at("target")
        if target is not None:
            yield target.text(), target.text()
        elif item.text():
            yield item.text(), item.text().rpartition(":")[2].rstrip("}")


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
