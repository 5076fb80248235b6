"""A store that a session holds is copied while it runs, its end comes last."""

import base64
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import pytest
from volume_helper import copying
from volume_helper.failure import Failed

from compose_ops.backup.session import MAX_BYTES, Session
from compose_ops.errors import DataError, EngineError


class Lines:
    """A session's command: what it prints, line by line, then its end."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = list(lines)
        self.told: list[str] = []

    def send(self, line: str) -> None:
        self.told.append(line)

    def send_bytes(self, source: IO[bytes], size: int) -> None:
        raise NotImplementedError

    def receive(self, timeout: float = 0) -> str:
        del timeout
        if not self.lines:
            raise EngineError("it ended")
        return self.lines.pop(0)


def named(path: str, data: bytes) -> str:
    return f"file {path} {base64.b64encode(data).decode()}"


def test_what_a_session_prints_at_its_stop_are_files_of_the_copy() -> None:
    talk = Lines(["NOTICE: x", "ready", named("a/label", b"\0two\nlines"), "stopped"])
    held = Session("db", talk)

    held.wait_until_ready()
    files = held.stop()
    held.close()

    assert files == {"a/label": b"\0two\nlines"}
    assert talk.told == ["stop", "close"]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["failed the slot lost WAL"],
        ["file label not-base64!", "stopped"],
        [named("../label", b""), "stopped"],
        [named("/label", b""), "stopped"],
        [named("a/../../label", b""), "stopped"],
        [named("label", b""), named("label", b""), "stopped"],
        [named("label", bytes(MAX_BYTES + 1)), "stopped"],
    ],
    ids=["end", "failed", "text", "out", "absolute", "through", "twice", "large"],
)
def test_session_that_ends_or_lies_discards_the_copy(lines: list[str]) -> None:
    held = Session("db", Lines(["ready", *lines]))
    held.wait_until_ready()

    with pytest.raises(DataError, match="the session that holds db"):
        held.stop()


def test_session_that_fails_at_its_close_discards_the_copy() -> None:
    held = Session("db", Lines(["ready", "stopped", "failed the slot lost WAL"]))
    held.wait_until_ready()
    held.stop()

    with pytest.raises(DataError, match="the slot lost WAL"):
        held.close()


def members(archive: Path) -> list[str]:
    done = subprocess.run(
        ["tar", "--zstd", "-tf", archive], check=True, capture_output=True, text=True
    )
    return [name.removeprefix("./") for name in done.stdout.splitlines()]


def copied(volume: Path, archive: Path, session: copying.Session) -> None:
    copying.copy(
        volume,
        archive,
        compression="zstd",
        exclude=["./cache/*"],
        order=(),
        changes="growth",
        progress=lambda _size: None,
        session=session,
    )


def test_paths_after_a_session_are_as_they_were_at_its_end(tmp_path: Path) -> None:
    """All else is as it was before: the log that comes last puts it right."""
    volume, archive = tmp_path / "volume", tmp_path / "archive"
    for name in ("base/1", "cache/x", "log/1", "control"):
        (volume / name).parent.mkdir(parents=True, exist_ok=True)
        (volume / name).write_text("before")
    (volume / "base/large").write_bytes(os.urandom(3 << 20))

    def stop() -> dict[str, bytes]:
        for name in ("base/1", "log/1", "log/2", "base/new"):
            (volume / name).write_text("after")
        (volume / "base/large").unlink()
        return {"label": b"start here"}

    copied(volume, archive, copying.Session(["control", "log/**"], stop))

    names = members(archive)
    assert names[-4:] == ["label", "control", "log/1", "log/2"]
    assert "base/new" not in names
    assert "cache/x" not in names
    restored = tmp_path / "restored"
    restored.mkdir()
    subprocess.run(["tar", "--zstd", "-xf", archive], cwd=restored, check=True)
    assert (restored / "base/1").read_text() == "before"
    assert (restored / "base/large").stat().st_size == 3 << 20
    assert (restored / "log/1").read_text() == "after"
    assert (restored / "label").read_bytes() == b"start here"


def test_files_of_a_session_belong_to_the_owner_of_the_data(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    volume, archive = tmp_path / "volume", tmp_path / "archive"
    (volume / "deep").mkdir(parents=True)
    os.chown(volume / "deep", 1234, 4321)

    copied(volume, archive, copying.Session([], lambda: {"deep/label": b"x"}))

    done = subprocess.run(
        ["tar", "--zstd", "--numeric-owner", "-tvf", archive, "./deep/label"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split()[:2] == ["-rw-------", "1234/4321"]


def test_copy_fails_where_the_session_cannot_be_ended(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()

    def stop() -> dict[str, bytes]:
        raise Failed("the task has ended")

    with pytest.raises(Failed, match="the task has ended"):
        copied(volume, tmp_path / "archive", copying.Session([], stop))
