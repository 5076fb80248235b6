"""An archive that is read back while it is written."""

import errno
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from archives import checked, packed
from volume_helper import archiving as archiving_module
from volume_helper import packing
from volume_helper.archiving import Archiving
from volume_helper.failure import Failed, Refused
from volume_helper.following import Follower

from compose_ops.backup import helper

COPY = {
    "compression": "zstd",
    "exclude": (),
    "order": (),
    "changes": "none",
    "progress": lambda _size: None,
}


@pytest.fixture
def archiving(volume: Path, tmp_path: Path) -> Archiving:
    (tmp_path / "a").touch()
    return Archiving(volume, tmp_path / "a", tmp_path / "list")


def reread(archiving: Archiving) -> dict[str, object]:
    return archiving.reread(compression="zstd", progress=lambda _size: None)


def test_pause_of_the_writer_is_not_taken_for_the_end(
    volume: Path, tmp_path: Path
) -> None:
    """Also what came between the last look and the word that nothing more comes."""
    whole, growing = tmp_path / "whole", tmp_path / "growing"
    packed(volume, whole)
    data = whole.read_bytes()
    parts = [
        data[at : at + 1 + len(data) // 7]
        for at in range(0, len(data), 1 + len(data) // 7)
    ]
    growing.touch()

    def may_grow() -> bool:
        with growing.open("ab") as file:
            file.write(parts.pop(0))
        return bool(parts)

    found = checked(growing, may_grow=may_grow)

    assert parts == []
    assert found == checked(whole)


def test_copy_and_its_list_are_known_once_it_was_read_back(
    archiving: Archiving,
) -> None:
    archiving.copy(**COPY)  # type: ignore[arg-type]

    found = reread(archiving)

    assert found == checked(archiving.archive)
    lines = subprocess.check_output(["zstd", "-dc", archiving.listing]).splitlines()
    paths = {json.loads(line)["path"] for line in lines}
    assert len(paths) == len(lines) == found["files"]
    assert {"deep/er/file", "empty"} <= paths


def test_what_was_packed_but_lies_otherwise_on_the_disk_is_refused(
    archiving: Archiving,
) -> None:
    """Also when all of it was read before the disk changed it."""
    archiving.copy(**COPY)  # type: ignore[arg-type]
    assert archiving.follower is not None
    os.waitid(os.P_PID, archiving.follower.pid, os.WEXITED | os.WNOWAIT)
    data = bytearray(archiving.archive.read_bytes())
    data[len(data) // 2] ^= 1
    archiving.archive.write_bytes(data)

    with pytest.raises(Refused, match="on the disk is not what was written"):
        reread(archiving)


def test_copy_made_again_is_listed_alone(archiving: Archiving) -> None:
    """Nothing of the first try gets into the second one's list."""
    archiving.copy(**COPY)  # type: ignore[arg-type]
    (archiving.volume / "came").touch()
    archiving.copy(**COPY)  # type: ignore[arg-type]

    found = reread(archiving)

    lines = subprocess.check_output(["zstd", "-dc", archiving.listing]).splitlines()
    assert (
        found["files"] == len(lines) == 1 + sum(1 for _ in archiving.volume.rglob("*"))
    )
    assert found == checked(archiving.archive)


def test_reader_never_sees_what_lay_in_the_file_before(
    archiving: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    archiving.archive.write_bytes(b"of a copy that did not settle")
    sizes: list[int] = []
    begin = Follower.__init__

    def noted(follower: Follower, archive: Path, *words: object) -> None:
        sizes.append(archive.stat().st_size)
        begin(follower, archive, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(Follower, "__init__", noted)
    archiving.copy(**COPY)  # type: ignore[arg-type]

    assert reread(archiving)["files"]
    assert sizes == [0]


def test_copy_that_fails_leaves_no_reader(
    archiving: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    begin = Follower.__init__

    def noted(follower: Follower, *words: object) -> None:
        begin(follower, *words)  # type: ignore[arg-type]
        started.append(follower.pid)

    monkeypatch.setattr(Follower, "__init__", noted)
    monkeypatch.setattr(
        packing, "compressor", lambda _how: ["sh", "-c", "head -c 9; exit 1"]
    )

    with pytest.raises(Failed, match="is the destination full"):
        archiving.copy(**COPY)  # type: ignore[arg-type]

    assert archiving.follower is None
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


def test_reader_that_is_killed_proves_nothing(archiving: Archiving) -> None:
    follower = Follower(archiving.archive, archiving.listing, "zstd")
    os.killpg(follower.pid, signal.SIGKILL)
    follower.whole()

    with pytest.raises(Failed, match="has ended"):
        follower.result()


def test_what_no_restore_would_unpack_is_no_backup(archiving: Archiving) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    os.mknod(archiving.volume / "null", 0o600 | 0o020000, os.makedev(1, 3))
    archiving.copy(**COPY)  # type: ignore[arg-type]

    with pytest.raises(Refused, match="null is a character device"):
        reread(archiving)


def test_many_processors_need_no_more_processes_than_a_helper_may_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Zstd ends with an error where it gets no thread; others run beside it."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(128)))

    *_, threads = packing.compressor("zstd")

    assert 1 < int(threads.removeprefix("-T")) <= helper.MAX_PROCESSES // 2


def test_disk_that_cannot_be_read_is_named(
    archiving: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_archive: Path) -> str:
        raise OSError(errno.EIO, "Input/output error")

    archiving.copy(**COPY)  # type: ignore[arg-type]
    monkeypatch.setattr(archiving_module, "digest_on_disk", fails)

    with pytest.raises(OSError, match="Input/output error"):
        reread(archiving)


def test_reader_whose_source_fails_comes_to_an_end(archiving: Archiving) -> None:
    """It does not wait for what the failed one would have given."""

    def fails() -> bool:
        raise OSError(errno.ESTALE, "Stale file handle")

    archiving.copy(**COPY)  # type: ignore[arg-type]
    reread(archiving)
    os.truncate(archiving.archive, archiving.archive.stat().st_size // 2)

    with pytest.raises(OSError, match="Stale"):
        checked(archiving.archive, may_grow=fails)
