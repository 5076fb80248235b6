"""Volumes and temporary file systems: kept, writable, and closed in time."""

import re
from collections.abc import Iterator

from compose_ops.lint.finding import RawFinding
from compose_ops.lint.registry import rule
from compose_ops.lint.target import LintTarget, Service

PASSING = re.compile(r"(^|[/_.-])(logs?|caches?|tmp|temp|run|node_modules)([/_.-]|$)")


def tmpfs_targets(service: Service) -> set[str]:
    """Return the targets of `tmpfs:` and of mounts of that type."""
    listed = service.get("tmpfs", default=[])
    listed = [listed] if isinstance(listed, str) else listed
    return {str(one).split(":")[0].rstrip("/") for one in listed} | {
        mount["target"].rstrip("/") for mount in service.volumes("tmpfs")
    }


@rule(
    "volume-under-tmpfs",
    "error",
    "A volume and a tmpfs are mounted on the same folder.",
    why="Compose accepts both; the tmpfs wins, the volume stays empty, and everything "
    "written there is gone with the container.",
    source="run on Engine 26.1.5",
    repair="Choose one: `volumes: !override […]` in the file that adds the tmpfs.",
)
def volume_under_tmpfs(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        targets = tmpfs_targets(service)
        for mount in service.volumes("volume", "bind"):
            if mount["target"].rstrip("/") in targets:
                yield RawFinding(
                    service.path("tmpfs", mount["target"]),
                    f"{service.name} mounts {mount.get('source', 'a volume')} and a "
                    f"tmpfs on {mount['target']}: the volume stays empty",
                )


def stores(service: Service) -> list[str]:
    """Return the named volumes in which a service keeps data."""
    return [
        mount["source"]
        for mount in service.volumes("volume")
        if mount.get("source")
        and not mount.get("read_only")
        and not PASSING.search(mount["target"])
        and not PASSING.search(str(mount["source"]))
    ]


@rule(
    "store-without-grace",
    "warning",
    "A service that writes to a volume has no grace period.",
    why="10 s after SIGTERM comes SIGKILL. `docker stop` exits 0 all the same, and the "
    "store is left as after a power cut.",
    source="run on Engine 26.1.5: exit=137 oom=false; memgraph/helm-charts#221, "
    "bitmagnet-io/bitmagnet#523",
    repair="Set `stop_grace_period` to what the store needs to close.",
)
def store_without_grace(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        kept = stores(service)
        if kept and not service.get("stop_grace_period"):
            yield RawFinding(
                service.path("volumes", str(kept[0])),
                f"{service.name} writes to {kept[0]} and has only the 10 s default "
                "to close it",
            )


@rule(
    "volume-unmapped",
    "warning",
    "The image declares a volume that the service does not mount.",
    why="Every new container gets an anonymous volume there; the data of the last one "
    "is left behind and fills the disk.",
    source="docs.docker.com, VOLUME; memgraph's Dockerfile of the guide",
    repair="Mount a named volume or a tmpfs there, or drop the VOLUME line.",
)
def volume_unmapped(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        mounted = {
            mount["target"].rstrip("/") for mount in service.volumes("volume", "bind")
        } | tmpfs_targets(service)
        for path in dict.fromkeys(service.facts.volumes):
            if path.rstrip("/") not in mounted:
                yield RawFinding(
                    service.path("volumes"),
                    f"{service.name}'s image keeps {path} in an anonymous volume",
                )


@rule(
    "volume-unwritable",
    "error",
    "A service without root mounts a volume on a folder that its image does not make.",
    why="The engine makes the folder, and with it the volume, as root: the service "
    "cannot write there.",
    source="run on Engine 26.1.5 with python:3.9-slim's shape",
    repair="`RUN mkdir -p … && chown …` in the Dockerfile, before USER.",
)
def volume_unwritable(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        user = service.get("user", default=service.facts.user)
        if not service.stages or user in {None, "root", "0", "0:0"}:
            continue
        text = "\n".join(i.text for stage in service.stages for i in stage.instructions)
        for mount in service.volumes("volume"):
            target = mount["target"].rstrip("/")
            known = target in text or target.startswith(OWNED_BY_BASE)
            if mount.get("source") and not mount.get("read_only") and not known:
                yield RawFinding(
                    service.path("volumes", mount["source"]),
                    f"{service.name} runs as {user} and cannot write to "
                    f"{mount['target']}, which its image does not make",
                )


OWNED_BY_BASE = ("/tmp", "/var/lib", "/home", "/var/log")  # noqa: S108 - only compared
"""Folders that a base image may have made with the right owner."""
