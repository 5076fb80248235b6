"""Facts of the disks of images, volumes and backups. They need a local engine."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from compose_ops.docker.api import EngineInfo, Image
from compose_ops.doctor.registry import NotMeasuredError, fact
from compose_ops.products import load
from compose_ops.project.model import Model
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.engine_location import EngineLocation

IMAGE_ROOM = 1024**3
"""What an image takes that nobody has yet: an estimate."""

GPU_IMAGE_ROOM = 12 * 1024**3
"""The same where it computes on a GPU: CUDA with cuDNN, and torch's copy of both."""

CONTAINERD_ROOT = Path("/var/lib/containerd")
"""containerd's default; Docker's documentation, containerd image store."""


@dataclass(frozen=True, slots=True)
class Disk:
    """
    A filesystem and what the stack keeps on it; sizes in bytes.

    `device` tells filesystems apart; `inodes` is 0 where they are not counted. `needs`
    has the bytes that are to be written there next, by what for. `is_seen` is false
    for a place that this user may not look at.
    """

    device: int
    holds: tuple[str, ...]
    path: str
    size: int
    free: int
    inodes: int = 0
    inodes_free: int = 0
    needs: Mapping[str, int] = field(default_factory=dict)
    is_seen: bool = True


@fact(limit=10)
def disks(
    *,
    stack: StackContext,
    info: EngineInfo,
    local: EngineLocation,
    model: Model,
    wanted: tuple[str, ...],
    images: Mapping[str, Image],
) -> tuple[Disk, ...]:
    """Return the filesystems of images, volumes and backups, each once."""
    del local
    root = _root(info)
    absent = [n for n in wanted if model.image_name(n) not in images]
    places = [
        ("images and volumes", root, {}),
        ("images and volumes", image_root(info), _image_needs(stack, model, absent)),
        *_data_places(stack, model, root),
        ("backups", stack.backups, _backup_needs(stack)),
    ]
    found: dict[int | str, Disk] = {}
    for what, path, needs in places:
        disk = measure(what, path)
        key = disk.device if disk.is_seen else disk.path
        before = found.get(key, replace(disk, holds=()))
        holds = tuple(dict.fromkeys((*before.holds, what)))
        found[key] = replace(before, holds=holds, needs={**before.needs, **needs})
    if not any(disk.is_seen for disk in found.values()):
        raise NotMeasuredError("no folder of the engine is accessible")
    return tuple(found.values())


def _root(info: EngineInfo) -> Path:
    return Path(str(info.raw.get("DockerRootDir", "")))


def image_root(info: EngineInfo) -> Path:
    """Return where images lie: with the containerd image store, not the engine's."""
    status = dict(info.raw.get("DriverStatus") or ())
    is_containerds = str(status.get("driver-type", "")).startswith("io.containerd.")
    return CONTAINERD_ROOT if is_containerds else _root(info)


def _image_needs(
    stack: StackContext, model: Model, absent: Iterable[str]
) -> dict[str, int]:
    """Return what images that are not here will take, built or pulled."""
    gpus = set() if stack.mode.substitutes else model.gpu_services
    return {
        f"the image of {name}": GPU_IMAGE_ROOM if name in gpus else IMAGE_ROOM
        for name in absent
    }


def _data_places(
    stack: StackContext, model: Model, root: Path
) -> Iterator[tuple[str, Path, dict[str, int]]]:
    """Yield where volumes lie, and what a snapshot of a store's memory takes there."""
    snapshots = {key: name for name, key in _dumping(stack, model)}
    for key, volume in model.volumes.items():
        device = ((volume or {}).get("driver_opts") or {}).get("device")
        needs = {}
        if key in snapshots:
            store = snapshots[key]
            needs[f"a snapshot of {store}"] = model.memory(store, "limits")
        if device:
            yield f"the data in {device}", Path(device), needs
        elif needs:
            yield "images and volumes", root, needs


def _dumping(stack: StackContext, model: Model) -> Iterator[tuple[str, str]]:
    """Yield store and volume of a store that writes its whole memory at once."""
    known = load(stack.product_files)
    for name, service in model.services.items():
        product = known.of_service(service)
        dumps = product.dumps if product else ""
        for mount in model.mounts(name):
            if mount.get("type") == "volume" and mount["target"] == dumps:
                yield name, mount["source"]


def _backup_needs(stack: StackContext) -> dict[str, int]:
    """Return the size of the newest set: the next one takes about as much."""
    size = stack.collaborators.backups.newest_size(stack)
    return {"the next backup": size} if size else {}


def measure(what: str, path: Path) -> Disk:
    """Return the filesystem of *path* or of its nearest folder that exists."""
    for folder in (path, *path.parents):
        try:
            status = os.statvfs(folder)
            device = folder.stat().st_dev
        except FileNotFoundError:
            continue
        except OSError:
            break
        return Disk(
            device=device,
            holds=(what,),
            path=str(folder),
            size=status.f_blocks * status.f_frsize,
            free=status.f_bavail * status.f_frsize,
            inodes=status.f_files,
            inodes_free=status.f_favail,
        )
    return Disk(0, (what,), str(path), 0, 0, is_seen=False)
