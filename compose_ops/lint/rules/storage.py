"""Volumes and temporary file systems: kept, writable, and closed in time."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from compose_ops.lint.finding import RawFinding
from compose_ops.lint.registry import rule
from compose_ops.lint.target import LintTarget, Service
from compose_ops.products.folders import moved


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


PASSING = re.compile(r"(^|[/_.-])(logs?|caches?|tmp|temp|run|node_modules)([/_.-]|$)")


def others_kept(service: Service) -> list[str]:
    """Return the named volumes in which another program may keep data."""
    return [
        mount["source"]
        for mount in service.volumes("volume")
        if mount.get("source")
        and not mount.get("read_only")
        and not PASSING.search(mount["target"])
        and not PASSING.search(str(mount["source"]))
    ]


def keeps_at(service: Service, target: str) -> bool:
    """Say whether a database keeps its data in a mount, not in a volume below it."""
    store, above = service.store, f"{target.rstrip('/')}/"
    declared = any(one.startswith(above) for one in service.facts.volumes)
    return store is not None and store.holds(target) and not declared


def stores(service: Service) -> list[str]:
    """Return the volumes in which a database, or what a label calls data, keeps it."""
    labelled = str(
        service.get("labels", "compose-ops.data.volumes", default="")
    ).split()
    return [
        str(mount["source"])
        for mount in service.volumes("volume", "bind")
        if mount.get("source")
        and not mount.get("read_only")
        and (mount["source"] in labelled or keeps_at(service, mount["target"]))
    ]


@rule(
    "store-without-grace",
    "warning",
    "What writes to a volume has no more than the default time to close it.",
    why="10 s after SIGTERM comes SIGKILL. `docker stop` exits 0 all the same, and the "
    "store is left as after a power cut. A note for what is no known database.",
    source="run on Engine 26.1.5: exit=137 oom=false; memgraph/helm-charts#221, "
    "bitmagnet-io/bitmagnet#523",
    repair="Set `stop_grace_period` to what the store needs to close.",
)
def store_without_grace(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        kept = stores(service) or others_kept(service)
        if kept and not service.get("stop_grace_period"):
            yield RawFinding(
                service.path("volumes", str(kept[0])),
                f"{service.name} writes to {shown_name(subject, kept[0])} and has only "
                "the 10 s default to close it",
                "" if stores(service) else "note",
            )


@rule(
    "volume-unmapped",
    "warning",
    "The image declares a volume that the service does not mount.",
    why="Every new container gets an anonymous volume there; the data of the last one "
    "is left behind and fills the disk.",
    source="docs.docker.com, VOLUME; memgraph's Dockerfile of the guide",
    repair="Mount a named volume or a tmpfs there, or drop the VOLUME line.",
    needs=("model", "image"),
)
def volume_unmapped(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        mounted = {
            mount["target"].rstrip("/") for mount in service.volumes("volume", "bind")
        } | tmpfs_targets(service)
        for path in dict.fromkeys(service.facts.volumes):
            below = any(one.startswith(f"{path.rstrip('/')}/") for one in mounted)
            if path.rstrip("/") not in mounted and not below:
                yield RawFinding(
                    service.path("volumes"),
                    f"{service.name}'s image keeps {path} in an anonymous volume",
                    "note" if service.store and service.store.is_cache else "",
                )


@rule(
    "volume-unwritable",
    "error",
    "A service without root mounts a volume on a folder that its image does not make.",
    why="The engine makes the folder, and with it the volume, as root: the service "
    "cannot write there.",
    source="run on Engine 26.1.5 with python:3.9-slim's shape",
    repair="`RUN mkdir -p … && chown …` in the Dockerfile, before USER.",
    needs=("model", "image"),
)
def volume_unwritable(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        user = service.get("user", default=service.facts.user)
        if not service.stages or not is_plain_user(user) or not service.facts.known:
            continue
        text = "\n".join(
            i.script for stage in service.stages for i in stage.instructions
        )
        for mount in service.volumes("volume"):
            target = mount["target"].rstrip("/")
            name = target.rpartition("/")[2]
            known = (
                re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)
                or target.startswith(OWNED_BY_BASE)
                or gives_away(text, target)
            )
            if mount.get("source") and not mount.get("read_only") and not known:
                yield RawFinding(
                    service.path("volumes", mount["source"]),
                    f"{service.name} runs as {user} and cannot write to "
                    f"{mount['target']}, which its image does not make",
                )


def is_plain_user(user: object) -> bool:
    """Say whether this is a known user other than root."""
    name = str(user or "").split(":")[0]
    return bool(name) and name not in {"root", "0"} and "$" not in name


def gives_away(text: str, target: str) -> bool:
    """Say whether a folder above is given away as a whole, or a script may do it."""
    above = [str(one) for one in PurePosixPath(target).parents if str(one) != "/"]
    given = any(
        re.search(rf"ch(own|mod)\s+-\S*R\S*.*{re.escape(one)}", text) for one in above
    )
    return given or bool(
        re.search(r"\b(ba)?sh\s+\S*\.sh|(^|\s)\./\S+\.sh|\|\s*(ba)?sh", text)
    )


OWNED_BY_BASE = ("/tmp", "/var/lib", "/home", "/var/log")  # noqa: S108 - only compared
"""Folders that a base image may have made with the right owner."""


@rule(
    "data-folder-moved",
    "error",
    "A volume is mounted where this version of the image no longer keeps its data.",
    why="PostgreSQL 18 keeps its data below /var/lib/postgresql and refuses to start "
    "with a mount at /var/lib/postgresql/data; others start with an empty folder and "
    "leave the data in an anonymous volume.",
    source="docker-library/postgres#1259; the images' own Dockerfiles",
    repair="Mount the folder that the message names, and move the data there first.",
)
def data_folder_moved(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        moving = service.environment.keys() & {"PGDATA", "POSTGRESQL_DATA_DIR"}
        for folder, sure in moved(service.image) if not moving else ():
            for mount in service.volumes("volume", "bind"):
                if mount["target"].rstrip("/") != folder.old:
                    continue
                image = service.image.rpartition("/")[2]
                probably = "" if sure else "is probably the newest version, which "
                yield RawFinding(
                    service.path("volumes", mount["target"]),
                    f"{service.name}: {image} {probably}{folder.effect} {folder.old}; "
                    f"its folder is {folder.new}",
                    "" if sure else "warning",
                )


@rule(
    "volume-shared-by-stores",
    "error",
    "Two database servers keep their data in one volume.",
    why="Each server takes the files for its own: they are damaged, or the second one "
    "does not start.",
    source="the products' manuals; run with PostgreSQL: `lock file postmaster.pid`",
    repair="Give each server a volume of its own.",
)
def volume_shared_by_stores(subject: LintTarget) -> Iterator[RawFinding]:
    users: dict[tuple[str, str], list[Service]] = defaultdict(list)
    for service in subject.services:
        for mount in service.volumes("volume", "bind"):
            store = service.store
            if store is None or mount.get("read_only") or not mount.get("source"):
                continue
            if keeps_at(service, mount["target"]):
                below = str((mount.get("volume") or {}).get("subpath", ""))
                held = users[str(mount["source"]), below]
                same = [one for one in held if one.together(service)]
                if same:
                    yield RawFinding(
                        service.path("volumes", mount["target"]),
                        f"{service.name} and {same[0].name} both keep their data in "
                        f"{shown_source(subject, mount)}",
                    )
                elif service.replicas > 1 and not subject.is_swarm:
                    yield RawFinding(
                        service.path("volumes", mount["target"]),
                        f"{service.replicas} replicas of {service.name} keep their "
                        f"data in {shown_source(subject, mount)}",
                    )
                held.append(service)


def shown_source(subject: LintTarget, mount: Mapping[str, Any]) -> str:
    return shown_name(subject, str(mount["source"]))


def shown_name(subject: LintTarget, source: str) -> str:
    """Return a mount's source, relative to the project where it lies below it."""
    return source.replace(f"{subject.root}/", "./")


FILE_NAME = re.compile(
    r"\.(conf|cfg|cnf|ini|ya?ml|toml|json|xml|properties|sql|sh|py|js|php|lua|env|pem|crt|"
    r"key|cert|txt|html|htpasswd|rules|acl|tmpl|template|hcl|sock)$|/(Caddyfile|Dockerfile)$"
)


@rule(
    "bind-source-missing",
    "warning",
    "A file that is mounted is not in the project.",
    why="The engine makes a folder of that name instead, and the container fails with "
    "`not a directory`, or reads an empty folder for its settings.",
    source="run on Engine 26.1.5",
    repair="Add the file, or say in a comment beside it what makes it first.",
)
def bind_source_missing(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        for mount in service.volumes("bind"):
            source = Path(str(mount.get("source") or ""))
            inside = source.is_relative_to(subject.root)
            both = FILE_NAME.search(str(source)) and FILE_NAME.search(mount["target"])
            if inside and both and not there(source):
                name = source.relative_to(subject.root).as_posix()
                yield RawFinding(
                    service.path("volumes", mount["target"]),
                    f"{service.name} mounts {name}, which is not there",
                )


def there(path: Path) -> bool:
    """Say whether a path exists; what cannot be looked at is taken to."""
    try:
        return path.exists() or path.is_symlink()
    except OSError:
        return True
