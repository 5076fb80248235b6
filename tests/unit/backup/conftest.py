"""A stack in memory whose stores can be backed up, and a folder of every file kind."""

import itertools
import os
import struct
from contextlib import nullcontext
from pathlib import Path

import pytest
from backup_steps import opened, two_stores
from backup_world import World
from helper_talk import Later
from volume_helper import __main__ as helper_program
from volume_helper import archiving

from compose_ops.backup import service_control, unlock
from compose_ops.doctor import requirements
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.health import Clock
from compose_ops.state import recovery

ACL_ACCESS, ACL_DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
# Version 2, then tag, permissions and id of each entry: owner, user 1234, group, mask,
# others; <linux/posix_acl_xattr.h>.
ENTRIES = ((1, 6, -1), (2, 6, 1234), (4, 4, -1), (16, 6, -1), (32, 4, -1))
ACL = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *e) for e in ENTRIES)
# CAP_NET_BIND_SERVICE, permitted and effective; <linux/capability.h>, revision 2.
BIND_LOW_PORTS = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return an engine on which memo and pair hold data and reader reads it."""
    ticks = itertools.count()
    clock = Clock(now=lambda: float(next(ticks)), sleep=lambda _seconds: None)
    for module in (service_control, unlock):
        monkeypatch.setattr(module, "CLOCK", clock)
    monkeypatch.setattr(recovery, "locked", lambda *_, **__: nullcontext())
    monkeypatch.setattr(requirements, "require", lambda *_, **__: None)
    for name in ("VOLUME", "ARCHIVE", "LISTING"):
        monkeypatch.setattr(helper_program, name, tmp_path)
    monkeypatch.setattr(helper_program, "_say", lambda _answer: None)
    monkeypatch.setattr(archiving, "Follower", Later)
    folder = tmp_path / "volumes"
    folder.mkdir()
    made = World(folder, two_stores())
    for volume, lines in (("memo_data", 3), ("left_data", 5), ("right_data", 7)):
        made.write(volume, lines)
    return made


@pytest.fixture
def stack(tmp_path: Path, world: World) -> StackContext:
    return opened(tmp_path, world)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Return a folder with a file of every kind that a volume may hold."""
    top = tmp_path / "volume"
    (top / "deep" / "er").mkdir(parents=True)
    (top / "deep" / "er" / "file").write_bytes(os.urandom(70_000))
    (top / "empty").touch(mode=0o640)
    (top / "odd\nname \\ \"ü'").write_text("odd")
    (top / os.fsdecode(b"\xff\xfe bytes")).write_text("no text")
    (top / "-rf").write_text("looks like a flag")
    (top / ("long" * 40)).mkdir()
    (top / ("long" * 40) / ("name" * 50)).write_text("long")
    (top / "link").symlink_to("deep/er/file")
    (top / "dangling").symlink_to("/nowhere")
    (top / "twin").hardlink_to(top / "empty")
    os.mkfifo(top / "fifo")
    with (top / "sparse").open("wb") as file:
        file.write(b"head")
        file.seek(5 << 20)
        file.write(b"tail")
    os.setxattr(top / "-rf", "user.note", b"kept")
    os.setxattr(top / "-rf", ACL_ACCESS, ACL)
    os.setxattr(top / "deep", ACL_DEFAULT, ACL)
    if os.geteuid() == 0:
        os.setxattr(top / "deep/er/file", "security.capability", BIND_LOW_PORTS)
    os.utime(top / "empty", ns=(1_500_000_000_123_456_789, 1_500_000_000_123_456_789))
    return top
