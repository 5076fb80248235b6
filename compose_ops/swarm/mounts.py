"""Volumes, tmpfs and files of this machine as mounts that Swarm has."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from compose_ops.project.labels import PREFIX
from compose_ops.project.model import Model
from compose_ops.swarm.elements import load
from compose_ops.swarm.objects import object_of
from compose_ops.swarm.work import Work

DISPOSABLE = f"{PREFIX}data.disposable"
DEFAULT_MODE = 0o1777
SAME_ANYWAY = {"rw", "noexec", "nosuid", "nodev", "mode=1777"}
"""What every tmpfs of Swarm is."""
_SIZE = re.compile(r"([0-9.]+)\s*([kmg]?)i?b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3}


def size(text: object) -> int:
    """
    Return bytes for a size as Compose takes it, 0 for what is none.

    >>> size("64m"), size("2684354560")
    (67108864, 2684354560)
    """
    found = _SIZE.fullmatch(str(text).strip())
    return int(float(found[1]) * 1024 ** _POWERS[found[2].lower()]) if found else 0


def data_volumes(model: Model, name: str) -> list[str]:
    """
    Return the volumes that a service writes to and would miss on another node.

    Those that its label `compose-ops.data.disposable` names are not among them.
    """
    service = model.service(name)
    disposable = str((service.get("labels") or {}).get(DISPOSABLE, "")).split()
    return [
        mount["source"]
        for mount in service.get("volumes") or ()
        if mount.get("type") == "volume"
        and mount.get("source", "") not in {"", *disposable}
        and not mount.get("read_only")
    ]


def volumes(work: Work, key: str, stated: Sequence[Mapping[str, Any]]) -> None:
    """Translate the mounts of a service."""
    for mount in stated:
        kind, named = mount.get("type", ""), f"{key} {mount.get('target', '')}"
        if kind == "volume":
            _volume(work, named, mount)
        elif kind == "tmpfs":
            _tmpfs(work, named, mount)
        elif kind == "bind":
            _bind(work, named, mount)
        else:
            work.refuse(named, f"Swarm has no mounts of the type {kind}")


def tmpfs(work: Work, key: str, stated: Sequence[str] | str) -> None:
    """Translate the short form, such as `/tmp:size=64m`."""
    for text in [stated] if isinstance(stated, str) else stated:
        target, _, listed = text.partition(":")
        options = {option for option in listed.split(",") if option} - SAME_ANYWAY
        sizes = [option for option in options if option.startswith("size=")]
        for option in sorted(options.difference(sizes)):
            work.refuse(f"{key} {target}", f"Swarm cannot say {option} of a tmpfs")
        work.add("volumes", _memory(target, *(s.partition("=")[2] for s in sizes)))


def shared_memory(work: Work, _key: str, stated: object) -> None:
    """Give `shm_size` to a tmpfs on /dev/shm."""
    work.add("volumes", _memory("/dev/shm", stated))  # noqa: S108 - a container's


def _memory(target: str, *limit: object) -> dict[str, Any]:
    mount: dict[str, Any] = {"type": "tmpfs", "target": target}
    return {**mount, "tmpfs": {"size": size(limit[0])}} if limit else mount


def _volume(work: Work, named: str, mount: Mapping[str, Any]) -> None:
    options = mount.get("volume") or {}
    if options.get("subpath"):
        reason = load().row("services.*.volumes.volume.subpath").reason
        work.refuse(named, reason)
    keys = ("type", "source", "target", "read_only")
    kept = {name: mount[name] for name in keys if mount.get(name)}
    nocopy = {"volume": {"nocopy": True}} if options.get("nocopy") else {}
    work.add("volumes", {**kept, **nocopy})


def _tmpfs(work: Work, named: str, mount: Mapping[str, Any]) -> None:
    options = mount.get("tmpfs") or {}
    if options.get("mode") not in {None, DEFAULT_MODE}:
        work.refuse(named, load().row("services.*.volumes.tmpfs.mode").reason)
    limit = options.get("size")
    work.add("volumes", _memory(mount["target"], *([limit] if limit else ())))


def _bind(work: Work, named: str, mount: Mapping[str, Any]) -> None:
    path = str(mount["source"])
    if not mount.get("read_only"):
        work.refuse(named, f"{path} is of one machine: use a volume, or mount it :ro")
        return
    source = work.sources.get(path)
    problem = "it was not read" if source is None else source.problem
    if source is None or problem:
        work.refuse(named, f"{path}: {problem}")
        return
    if source.left_out:
        work.lose(named, source.left_out)
    for file in source.files:
        kind = "secrets" if file.is_private else "configs"
        where = PurePosixPath(mount["target"]) / file.inner
        name = object_of(work, kind, file)
        work.add(
            kind,
            {
                "source": name,
                "target": str(where),
                "uid": str(file.uid),
                "gid": str(file.gid),
                "mode": file.mode,
            },
        )
