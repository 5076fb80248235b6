"""Facts of this machine: disks, kernel settings, users. All need a local engine."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jimbot_stack.checks.facts.engine import Place
from jimbot_stack.checks.registry import NotMeasuredError, fact
from jimbot_stack.engine import EngineInfo, Volume
from jimbot_stack.model import Model
from jimbot_stack.paths import BACKUPS
from jimbot_stack.stack import Stack


@dataclass(frozen=True, slots=True)
class Disk:
    """
    A filesystem and what the stack keeps on it; sizes in bytes.

    `device` tells filesystems apart; `inodes` is 0 where they are not counted.
    """

    device: int
    holds: tuple[str, ...]
    path: str
    size: int
    free: int
    inodes: int = 0
    inodes_free: int = 0


@dataclass(frozen=True, slots=True)
class Kernel:
    """Kernel settings; 0 where one cannot be read."""

    max_map_count: int
    files_open: int
    files_limit: int


@fact(limit=5)
def disks(
    stack: Stack, info: EngineInfo, local: Place, model: Model
) -> tuple[Disk, ...]:
    """Return the filesystems of images, volumes and backups, each once."""
    del local
    root = str(info.raw.get("DockerRootDir", ""))
    found: dict[int, Disk] = {}
    for what, path in _places(stack, root, model):
        disk = measure(what, path)
        if disk is not None:
            before = found.get(disk.device)
            found[disk.device] = disk if before is None else _joined(before, what)
    if not found:
        raise NotMeasuredError("no folder of the engine can be looked at")
    return tuple(found.values())


def _places(stack: Stack, root: str, model: Model) -> Iterator[tuple[str, Path]]:
    yield "images and volumes", Path(root)
    for volume in model.volumes.values():
        device = ((volume or {}).get("driver_opts") or {}).get("device")
        if device:
            yield f"the data in {device}", Path(device)
    yield "backups", stack.root / BACKUPS


def measure(what: str, path: Path) -> Disk | None:
    """Return the filesystem of *path* or of its nearest folder that exists."""
    for folder in (path, *path.parents):
        try:
            told = os.statvfs(folder)
            device = folder.stat().st_dev
        except FileNotFoundError:
            continue
        except OSError:
            return None
        return Disk(
            device=device,
            holds=(what,),
            path=str(folder),
            size=told.f_blocks * told.f_frsize,
            free=told.f_bavail * told.f_frsize,
            inodes=told.f_files,
            inodes_free=told.f_favail,
        )
    return None


def _joined(disk: Disk, what: str) -> Disk:
    return Disk(
        disk.device,
        (*disk.holds, what),
        disk.path,
        disk.size,
        disk.free,
        disk.inodes,
        disk.inodes_free,
    )


@fact(limit=2)
def kernel(local: Place) -> Kernel:
    del local
    files = _read("/proc/sys/fs/file-nr").split()
    return Kernel(
        max_map_count=int(_read("/proc/sys/vm/max_map_count") or 0),
        files_open=int(files[0]) if files else 0,
        files_limit=int(files[2]) if files else 0,
    )


@fact(limit=10)
def volumes(stack: Stack, info: EngineInfo) -> tuple[Volume, ...]:
    """Return the project's volumes."""
    del info
    return stack.engine.volumes(project=stack.project)


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
