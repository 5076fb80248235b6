"""What doctor measures of this machine: disks and what they need, file descriptors."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import container
from judging import judge

from compose_ops.backup import repository
from compose_ops.composition import OPERATIONS
from compose_ops.docker.api import EngineInfo
from compose_ops.doctor.facts.disks import CONTAINERD_ROOT, disks, image_root, measure
from compose_ops.doctor.facts.host import handles, processes
from compose_ops.project.model import Model
from compose_ops.project.modes import Mode
from compose_ops.runtime.engine_location import EngineLocation

GIB = 1024**3
HERE = EngineLocation(is_local=True, is_rootless=False, remaps_users=False)
SERVICES: dict[str, Any] = {
    "memgraph": {
        "image": "memgraph",
        "deploy": {"resources": {"limits": {"memory": str(13 * GIB)}}},
        "volumes": [
            {"type": "volume", "source": "graph", "target": "/var/lib/memgraph"}
        ],
    },
    "ray-head": {"build": {"context": "."}, "gpus": [{"count": -1}]},
}


def needs(root: Path, *, offline: bool = False, device: str = "") -> dict[str, int]:
    """Return what is to be written, on whatever disk, when no image is here."""
    volume = {"driver_opts": {"device": device}} if device else {}
    model = Model({"name": "trial", "services": SERVICES, "volumes": {"graph": volume}})
    info = EngineInfo("ID", "26.1.5", 2, 0, (), {"DockerRootDir": str(root)})
    stack = SimpleNamespace(
        collaborators=OPERATIONS,
        root=root,
        backups=root / "backups",
        project="trial",
        product_files=(),
        mode=Mode(substitutes=offline),
    )
    found = disks(
        stack=stack,  # type: ignore[arg-type]
        info=info,
        local=HERE,
        model=model,
        wanted=tuple(SERVICES),
        images={"memgraph": None},  # type: ignore[dict-item]
    )
    return {what: n for disk in found for what, n in disk.needs.items()}


def test_absent_image_and_snapshot_need_room(tmp_path: Path) -> None:
    online, offline = needs(tmp_path), needs(tmp_path, offline=True)

    assert set(online) == {"the image of ray-head", "a snapshot of memgraph"}
    assert online["a snapshot of memgraph"] == 13 * GIB
    assert online["the image of ray-head"] > 5 * offline["the image of ray-head"]


def test_snapshot_needs_room_where_its_volume_is(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()

    found = needs(tmp_path, device=str(tmp_path / "data"))

    assert found["a snapshot of memgraph"] == 13 * GIB


def test_next_backup_needs_what_the_newest_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "backups").mkdir()
    made = [SimpleNamespace(manifest=SimpleNamespace(size=n)) for n in (7, 5)]
    monkeypatch.setattr(repository, "listed", lambda *_: made)

    assert needs(tmp_path)["the next backup"] == 7


def test_folder_that_may_not_be_looked_at_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What could not be measured is not told as having room."""

    def refuse(path: Path) -> os.statvfs_result:
        if path == tmp_path / "closed":
            raise PermissionError(13, "no")
        return there(path)

    there = os.statvfs
    monkeypatch.setattr(os, "statvfs", refuse)
    closed, seen = (measure("images", tmp_path / name) for name in ("closed", "open"))
    row = judge("disk-space", disks=(closed, replace(seen, free=2 * GIB)))

    assert (closed.is_seen, seen.is_seen) == (False, True)
    assert row.outcome == "skipped"
    assert f"has no access to {tmp_path}/closed" in row.detail


def test_images_of_the_containerd_store_lie_at_containerds() -> None:
    def told(*status: list[str]) -> Path:
        raw = {"DockerRootDir": "/d", "DriverStatus": list(status)}
        return image_root(EngineInfo("ID", "29.0", 2, 0, (), raw))

    assert told(["Backing Filesystem", "extfs"]) == Path("/d")
    assert told(["driver-type", "io.containerd.snapshotter.v1"]) == CONTAINERD_ROOT


@pytest.fixture
def greedy() -> Iterator[subprocess.Popen[str]]:
    """Return a process whose child holds 150 of the 200 files that it may open."""
    inner = (
        "import os, sys; kept = [os.dup(0) for _ in range(150)];"
        "print('open', flush=True); sys.stdin.read()"
    )
    outer = (
        "import resource, subprocess, sys;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300));"
        f"subprocess.run([sys.executable, '-c', {inner!r}])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", outer],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process


def test_the_process_nearest_to_its_limit_counts(
    greedy: subprocess.Popen[str],
) -> None:
    """A container's first process may be an init that opens nothing."""
    running = container("app", raw={"State": {"Pid": greedy.pid}})
    stopped = container("questdb", state="exited", raw={"State": {"Pid": 0}})

    [found] = handles((running, stopped), HERE)

    assert (found.service, found.soft, found.hard) == ("app", 200, 300)
    assert found.used is not None
    assert 150 <= found.used < 170
    assert len(list(processes(greedy.pid))) == 2
    assert os.getpid() not in processes(greedy.pid)
