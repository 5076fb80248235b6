"""Facts of the folders that containers mount from this machine."""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from compose_ops.docker.api import Image
from compose_ops.doctor.facts.access import ENTER, READ, Permissions
from compose_ops.doctor.registry import NotMeasuredError, fact
from compose_ops.project.model import Model
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.engine_location import EngineLocation

MAX_PATHS = 2000
"""Files looked at per mount: enough for sources, bounded for anything else."""


@dataclass(frozen=True, slots=True)
class Closed:
    """A path that some may not use; `bits` are what reading, or entering, it takes."""

    path: Path
    permissions: Permissions
    bits: int


@dataclass(frozen=True, slots=True)
class BindFacts:
    """
    A path of this machine that a service mounts; `state` is file, folder or absent.

    `closed` are paths below it that not everybody may read.
    """

    service: str
    source: Path
    target: str
    writable: bool
    state: str
    closed: tuple[Closed, ...] = ()


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A volume that is a folder of this machine, its owner, and if it is empty."""

    volume: str
    services: tuple[str, ...]
    path: Path
    state: str
    owner: int = 0
    is_empty: bool = True


@fact(limit=10)
def binds(
    model: Model, wanted: tuple[str, ...], local: EngineLocation
) -> tuple[BindFacts, ...]:
    del local
    return tuple(
        inspect_bind(
            service, volume["source"], volume["target"], volume.get("read_only")
        )
        for service in wanted
        for volume in model.service(service).get("volumes") or ()
        if volume.get("type") == "bind"
    )


@dataclass(frozen=True, slots=True)
class RemoteBind:
    """A path that a service mounts from the host of an engine that is not here."""

    service: str
    source: Path
    is_there: bool


@fact(limit=20)
def remote_binds(
    stack: StackContext,
    model: Model,
    wanted: tuple[str, ...],
    place: EngineLocation,
    images: Mapping[str, Image],
) -> tuple[RemoteBind, ...]:
    """
    Look there for what services mount, with any image that the engine has.

    Empty for an engine that sees this machine's files.
    """
    if place.is_local or place.shares_files:
        return ()
    if stack.engine.endpoint().is_local:  # a socket that leads to another machine
        raise NotMeasuredError(f"cannot be measured from here: {place.why}")
    mounted = [
        (service, Path(volume["source"]))
        for service in wanted
        for volume in model.service(service).get("volumes") or ()
        if volume.get("type") == "bind"
    ]
    known = [image.id for image in images.values()]
    known += stack.engine.docker("image", "ls", "--quiet").stdout.split()[:1]
    if mounted and not known:
        raise NotMeasuredError("the engine has no image to check paths with")
    found = {
        path: stack.engine.path_exists(path, image=known[0])
        for path in {path for _, path in mounted}
    }
    return tuple(RemoteBind(service, path, found[path]) for service, path in mounted)


def inspect_bind(
    service: str, source: str, target: str, read_only: object
) -> BindFacts:
    path = Path(source)
    try:
        status = path.stat()
        closed = tuple(_closed(path))
    except FileNotFoundError:
        return BindFacts(service, path, target, not read_only, "absent")
    except OSError:
        return BindFacts(service, path, target, not read_only, "hidden")
    state = "folder" if stat.S_ISDIR(status.st_mode) else "file"
    return BindFacts(service, path, target, not read_only, state, closed)


def _closed(path: Path) -> Iterator[Closed]:
    """Yield paths that others may not read or, for folders, enter."""
    with_itself = chain([(path, path.lstat())], below(path))
    for inside, status in islice(with_itself, MAX_PATHS):
        bits = READ | ENTER if stat.S_ISDIR(status.st_mode) else READ
        permissions = Permissions.of(status)
        if not stat.S_ISLNK(status.st_mode) and not (
            permissions.others(bits) and permissions.groups(bits)
        ):
            yield Closed(inside, permissions, bits)


def below(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield what lies below a folder that others may be changing, links as links."""
    for top, folders, files in os.walk(folder):
        for path in (Path(top, name) for name in (*folders, *files)):
            with suppress(OSError):
                yield path, path.lstat()


@fact(limit=10)
def data_folders(
    model: Model, wanted: tuple[str, ...], local: EngineLocation
) -> tuple[DataFolder, ...]:
    """Return the volumes whose options bind them to a folder."""
    del local
    found = []
    for key, volume in model.volumes.items():
        device = ((volume or {}).get("driver_opts") or {}).get("device")
        services = tuple(
            service
            for service in wanted
            for mount in model.service(service).get("volumes") or ()
            if mount.get("type") == "volume" and mount.get("source") == key
        )
        if device and services:
            found.append(_data_folder(key, services, Path(device)))
    return tuple(found)


def _data_folder(volume: str, services: tuple[str, ...], path: Path) -> DataFolder:
    try:
        status = path.stat()
    except FileNotFoundError:
        return DataFolder(volume, services, path, "absent")
    except OSError:
        return DataFolder(volume, services, path, "hidden")
    if not stat.S_ISDIR(status.st_mode):
        return DataFolder(volume, services, path, "file")
    try:
        is_empty = next(path.iterdir(), None) is None
    except OSError:
        is_empty = False
    return DataFolder(volume, services, path, "folder", status.st_uid, is_empty)
