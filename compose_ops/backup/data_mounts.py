"""The folders that hold a service's data: named volumes and folders of the host."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from compose_ops.backup.helper_tag import image
from compose_ops.docker.api import Container
from compose_ops.errors import ConfigurationError, DataError
from compose_ops.project.model import Model
from compose_ops.runtime.context import StackContext

LONGEST_KEY = 100
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class DataMount:
    """
    One folder with data.

    `key` names its archive in a set: a volume's key in the compose files, or for a bind
    mount SERVICE.PATH. `source` is the volume's name on the engine or the host's
    folder, `target` where the container has it, "" for a volume that none mounts.
    """

    key: str
    source: str
    target: str

    @property
    def is_bind(self) -> bool:
        return is_path(self.source)


def is_path(source: str) -> bool:
    """Say whether a source is a folder of the host; no volume's name has a slash."""
    return source.startswith("/")


def mounts_of(
    model: Model, service: str, *, declared: Sequence[str], paths: Sequence[str]
) -> tuple[DataMount, ...]:
    """
    Return the folders with a service's data, each once.

    *declared* are keys of volumes and folders in the container; without any of them it
    is what is mounted writable on *paths*, above or below. ConfigurationError for a
    name that is neither a volume nor mounted.
    """
    mounted = [_mount(model, service, m) for m in _candidates(model, service)]
    if declared:
        found = [_declared(model, service, name, mounted) for name in declared]
    else:
        found = [m for m in mounted if any(_related(m.target, p) for p in paths)]
    unique = tuple({mount.source: mount for mount in found}.values())
    if len({mount.key for mount in unique}) < len(unique):
        raise ConfigurationError(
            f"two folders of {service} would be the same archive of a set",
            hint="name the volumes in the compose files otherwise",
        )
    return unique


def _candidates(model: Model, service: str) -> list[dict[str, Any]]:
    return [
        dict(mount)
        for mount in model.mounts(service)
        if mount.get("type") in {"volume", "bind"}
        and mount.get("source")
        and not mount.get("read_only")
    ]


def _mount(model: Model, service: str, mount: dict[str, Any]) -> DataMount:
    source, target = str(mount["source"]), str(mount["target"])
    if mount["type"] == "volume":
        return DataMount(source, model.volume_name(source), target)
    return DataMount(_bind_key(service, target), source.rstrip("/") or "/", target)


def _bind_key(service: str, target: str) -> str:
    """Return an archive's name for a path: readable, and one for each path."""
    plain = target.strip("/")
    name = f"{service}.{_UNSAFE.sub('-', plain)}"[:LONGEST_KEY]
    if name == f"{service}.{plain.replace('/', '-')}" and "-" not in plain:
        return name
    return f"{name}-{sha256(target.encode()).hexdigest()[:8]}"


def _declared(
    model: Model, service: str, name: str, mounted: Sequence[DataMount]
) -> DataMount:
    if name in model.volumes:
        volume = model.volume_name(name)
        there = next((m for m in mounted if m.source == volume), None)
        return there or DataMount(name, volume, "")
    target = name.rstrip("/")
    for mount in mounted:
        if target.startswith("/") and mount.target.rstrip("/") == target:
            return mount
    what = "folder" if name.startswith("/") else "volume"
    raise ConfigurationError(
        f"the labels of {service} name the unknown {what} {name}",
        hint="data.volumes takes volumes of the compose files, and folders of the "
        "container that are mounted writable",
    )


def _related(target: str, path: str) -> bool:
    mounted, data = PurePosixPath(target), PurePosixPath(path)
    return mounted.is_relative_to(data) or data.is_relative_to(mounted)


def exists(stack: StackContext, source: str) -> bool:
    """Say whether a volume or a folder of the engine's host is there."""
    if is_path(source):
        if stack.engine.endpoint().is_local:
            return Path(source).is_dir()
        return stack.engine.path_exists(Path(source), image=image())
    return stack.engine.volume(source) is not None


def make(stack: StackContext, source: str) -> None:
    """
    Make a folder of the host where it is missing; volumes are Compose's.

    Raises DataError where it cannot be. A restore gives it its data's owner and mode.
    """
    if is_path(source) and stack.engine.endpoint().is_local:
        try:
            Path(source).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as refused:
            raise DataError(
                f"the folder {source} cannot be created: {refused.strerror}",
                hint="create it; a restore sets its owner",
            ) from refused


def users_of(
    stack: StackContext, source: str, states: frozenset[str]
) -> list[Container]:
    """Return the containers of any project in *states* that may write to a source."""
    if not is_path(source):
        return [
            c
            for c in stack.engine.containers(filters=[f"volume={source}"])
            if c.state in states
            and any(m.name == source and m.writable for m in c.mounts)
        ]
    return [
        c
        for c in stack.engine.containers()
        if c.state in states
        and any(
            m.kind == "bind" and m.writable and _is_within(m.source, source)
            for m in c.mounts
        )
    ]


def writes_to(model: Model, service: str, sources: Sequence[str]) -> bool:
    """Say whether a service mounts one of *sources*, or a folder in it, writable."""
    mounted = [_mount(model, service, m).source for m in _candidates(model, service)]
    return any(
        own == source or (is_path(own) and is_path(source) and _is_within(own, source))
        for own in mounted
        for source in sources
    )


def _is_within(path: str, folder: str) -> bool:
    return Path(path).resolve().is_relative_to(Path(folder).resolve())


def root_in(mount: DataMount, folder: str) -> str | None:
    """Return where *folder* of the container lies in a mount; None for elsewhere."""
    top, path = PurePosixPath(mount.target or "/nowhere"), PurePosixPath(folder)
    if not path.is_relative_to(top):
        return None
    inside = str(path.relative_to(top))
    return "" if inside == "." else inside
