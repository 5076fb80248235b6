"""Sets of an engine on another machine: archives and lists flow through the helper."""

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import pytest
from backup_steps import back_up, bring_back, opened, store
from backup_world import World

from compose_ops.backup import helper_tag, repository, service_control, unlock, verify
from compose_ops.backup.streams import Streams
from compose_ops.docker.api import Endpoint, RunSpec
from compose_ops.docker.interactive import Conversation
from compose_ops.docker.lines import lines_of
from compose_ops.doctor import requirements
from compose_ops.errors import DataError
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.health import Clock
from compose_ops.state import recovery

SECONDS_TO_END = 10


class OtherMachine(World):
    """An engine in memory whose helpers have a volume and no file of this machine."""

    def endpoint(self) -> Endpoint:
        return Endpoint("default", "ssh://engine-host")

    def path_exists(self, path: Path, *, image: str) -> bool:
        assert image == helper_tag.image()
        return path.is_dir()

    @contextmanager
    def run_interactive(  # type: ignore[override]
        self, spec: RunSpec, *, output: IO[bytes]
    ) -> Iterator[Conversation]:
        mounts = [
            dict(part.split("=", 1) for part in value.split(",") if "=" in part)
            for value in spec.mounts
        ]
        assert {mount["dst"] for mount in mounts} <= {"/volume"}
        volume = self.folder / mounts[0]["src"] if mounts else self.folder
        given = {
            "PYTHONPATH": str(helper_tag.CONTEXT),
            "COMPOSE_OPS_VOLUME": str(volume),
        }
        with subprocess.Popen(
            [sys.executable, "-m", "volume_helper"],
            env={**os.environ, **spec.environment, **given},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.PIPE,
            bufsize=0,
        ) as process:
            assert process.stderr
            assert process.stdin
            with lines_of(process.stderr) as lines:
                yield Conversation(process, lines, None)
            process.stdin.close()
            process.wait(SECONDS_TO_END)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OtherMachine:
    """Return an engine with one store in a volume, and one in a folder of its host."""
    ticks = itertools.count()
    clock = Clock(now=lambda: float(next(ticks)), sleep=lambda _seconds: None)
    for module in (service_control, unlock):
        monkeypatch.setattr(module, "CLOCK", clock)
    monkeypatch.setattr(recovery, "locked", lambda *_, **__: nullcontext())
    monkeypatch.setattr(requirements, "require", lambda *_, **__: None)
    (tmp_path / "volumes").mkdir()
    (tmp_path / "folder").mkdir()
    bound = store("/bound")
    source = str(tmp_path / "folder")
    bound["volumes"] = [{"type": "bind", "source": source, "target": "/bound"}]
    made = OtherMachine(
        tmp_path / "volumes", {"memo": store("memo_data"), "bound": bound}
    )
    made.write("memo_data", 3)
    (tmp_path / "folder/lines").write_text("line\n" * 5)
    return made


@pytest.fixture
def stack(tmp_path: Path, world: OtherMachine) -> StackContext:
    return opened(tmp_path, world)


def _keys(folder: Path) -> tuple[Path, Path]:
    """Write an age key, and what is encrypted for it."""
    from pyrage import x25519

    secret = x25519.Identity.generate()
    identity, recipient = folder / "identity", folder / "recipient"
    identity.write_text(f"{secret}\n")
    recipient.write_text(f"{secret.to_public()}\n")
    return identity, recipient


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_set_is_taken_verified_and_restored_through_streams(
    stack: StackContext, world: OtherMachine, tmp_path: Path, *, encrypted: bool
) -> None:
    """A volume of several blocks, and a folder of the engine's host."""
    identity, recipient = _keys(tmp_path)
    data = os.urandom(5 << 20)
    (world.data("memo_data") / "large").write_bytes(data)
    how: dict[str, Any] = {"encrypt": [str(recipient)]} if encrypted else {}
    made = back_up(stack, **how)
    kept = repository.choose(tmp_path / "backups", "trial", set_id=made)
    opener = str(identity) if encrypted else ""
    keys = verify.identities(repository.valid_manifest(kept), opener, needed=True)
    verify.check(stack, kept, keys)

    world.write("memo_data", 9)
    (world.data("memo_data") / "large").write_bytes(b"changed")
    (tmp_path / "folder/lines").write_text("line\n")
    bring_back(stack, identity=opener)

    assert world.lines("memo_data") == 3
    assert (world.data("memo_data") / "large").read_bytes() == data
    assert (tmp_path / "folder/lines").read_text() == "line\n" * 5


def test_damaged_archive_is_refused_before_it_is_sent_to_its_end(
    stack: StackContext, world: OtherMachine, tmp_path: Path
) -> None:
    (world.data("memo_data") / "large").write_bytes(os.urandom(20 << 20))
    made = back_up(stack, "memo")
    kept = repository.choose(tmp_path / "backups", "trial", set_id=made)
    (archive,) = kept.path.glob("memo_data.tar.*")
    data = bytearray(archive.read_bytes())
    data[100_000] ^= 0xFF
    archive.write_bytes(data)

    with pytest.raises(DataError, match=r"not what was written|damaged"):
        verify.check(stack, kept, [])


class Silent:
    """A helper that takes what it is sent."""

    def send(self, line: str) -> None: ...

    def send_bytes(self, source: IO[bytes], size: int) -> None: ...

    def receive(self, timeout: float = 0) -> str:
        raise NotImplementedError


def test_full_destination_is_named_and_what_still_comes_is_read() -> None:
    """A helper that nobody reads would wait for ever."""
    frames = BytesIO(
        b"\0\x10\0\0" + bytes(1 << 20) + b"\0\0\0\x01x" + bytes(4) + b"next"
    )
    streams = Streams(Silent(), frames, {"archive": Path("/dev/full")})
    streams.begin("copy")

    with pytest.raises(DataError, match="No space left"):
        streams.end()
    assert frames.read() == b"next"
