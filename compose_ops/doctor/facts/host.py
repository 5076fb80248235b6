"""Facts of this machine: kernel, file descriptors. They need a local engine."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compose_ops.docker.api import Container, EngineInfo, Volume
from compose_ops.doctor.registry import fact
from compose_ops.project.model import Model
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.engine_location import EngineLocation

MAX_PROCESSES = 500


@dataclass(frozen=True, slots=True)
class Kernel:
    """Kernel settings; 0 where one cannot be read."""

    max_map_count: int
    files_open: int
    files_limit: int


@dataclass(frozen=True, slots=True)
class Handles:
    """
    File descriptors of the process of a container that is nearest to its limit.

    `used` is None where this user may not look; `hard` is how far it may raise `soft`.
    """

    service: str
    soft: int
    hard: int
    used: int | None


@fact(limit=4)
def kernel(local: EngineLocation) -> Kernel:
    del local
    files = _read("/proc/sys/fs/file-nr").split()
    return Kernel(
        max_map_count=int(_read("/proc/sys/vm/max_map_count") or 0),
        files_open=int(files[0]) if files else 0,
        files_limit=int(files[2]) if files else 0,
    )


@fact(limit=6)
def handles(ours: tuple[Container, ...], local: EngineLocation) -> tuple[Handles, ...]:
    """Return the file descriptors of what runs, as each container gets them."""
    del local
    found = []
    for container in ours:
        pid = int((container.raw.get("State") or {}).get("Pid") or 0)
        seen = [h for p in processes(pid) if (h := _handles(container.service, p))]
        if container.is_running and seen:
            found.append(max(seen, key=lambda h: (h.used or 0) / h.soft))
    return tuple(found)


def processes(pid: int) -> Iterator[int]:
    """Yield a process and those below it."""
    waiting = [pid] if pid else []
    for _ in range(MAX_PROCESSES):
        if not waiting:
            return
        process = waiting.pop()
        yield process
        waiting += map(int, _read(f"/proc/{process}/task/{process}/children").split())


def _handles(service: str, pid: int) -> Handles | None:
    limits = re.search(r"Max open files +(\d+) +(\d+)", _read(f"/proc/{pid}/limits"))
    if limits is None:
        return None
    try:
        used = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names alone
    except OSError:
        used = None
    return Handles(service, int(limits[1]), int(limits[2]), used)


@fact(limit=15)
def volumes(stack: StackContext, info: EngineInfo) -> tuple[Volume, ...]:
    """Return the project's volumes."""
    del info
    return stack.volumes


@fact(limit=15)
def external_volumes(
    stack: StackContext, info: EngineInfo, model: Model
) -> frozenset[str]:
    """Return the names of the model's external volumes that are there."""
    del info
    names = (model.volume_name(key) for key in model.external("volumes"))
    return frozenset(name for name in names if stack.engine.volume(name) is not None)


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
