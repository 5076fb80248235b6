"""Files that this user may not read: an error or a finding with its repair."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compose_ops.docker.api import EngineInfo
from compose_ops.doctor import requirements
from compose_ops.doctor.examine import examine
from compose_ops.doctor.facts.settings import settings
from compose_ops.errors import ConfigurationError
from compose_ops.library import opening
from compose_ops.project import env_file
from compose_ops.runtime.context import StackContext
from compose_ops.verdicts import Row

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other users")


@contextmanager
def other_user() -> Iterator[None]:
    """Be a user who may not read what root has closed."""
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout of another user's, and load what that user could not."""
    for folder in (tmp_path, *tmp_path.parents[:-1]):
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o111)
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "compose.yaml").write_text("services: {}\n")
    (checkout / ".env").write_text("A=1\n")
    (checkout / ".env.example").write_text("A=0\n")
    os.chown(checkout, NOBODY, NOBODY)
    looked(monkeypatch, checkout, "env-file", "state-open", "journals", "kept-data")
    return checkout


def opened(
    monkeypatch: pytest.MonkeyPatch, root: Path, *, read_only: bool = False
) -> StackContext:
    """Open the stack in *root*, of which nothing runs."""
    info = EngineInfo("ENGINE", "26.1.5", 2, 0, (), {})
    monkeypatch.setattr(opening, "_observe", lambda *_, **__: ((), info))
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "trial")
    return opening.open_stack(opening.Selection(root), read_only=read_only)


def looked(monkeypatch: pytest.MonkeyPatch, root: Path, *ids: str) -> dict[str, Row]:
    requirements.registered()
    given = {"stack": opened(monkeypatch, root, read_only=True), "scope": ()}
    return {row.id: row for row in examine(ids, given)}


@as_root
def test_env_of_another_user_is_a_finding(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Doctor says so in its report; the other tasks end with the repair."""
    (root / ".env").chmod(0o600)

    with other_user():
        row = looked(monkeypatch, root, "env-file", "env-missing")["env-file"]
        with pytest.raises(ConfigurationError, match="cannot be read") as refused:
            opened(monkeypatch, root)

    assert row.outcome == "fail"
    assert "Permission denied" in row.detail
    assert row.repair.removeprefix("sudo ").startswith("chown")
    assert "sudo chown" in refused.value.hint


def test_env_in_another_encoding_is_mended(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / ".env").write_bytes("NAME=Jürgen\n".encode("latin-1"))
    row = looked(monkeypatch, root, "env-file")["env-file"]
    assert row.outcome == "fail"

    subprocess.run(["sh", "-c", row.repair], cwd=root, check=True)

    assert env_file.read(root / ".env") == {"NAME": "Jürgen"}
    assert (root / ".env").stat().st_mode & 0o077 == 0
    assert looked(monkeypatch, root, "env-file")["env-file"].outcome == "ok"


def test_env_that_is_a_folder_is_a_finding(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / ".env").unlink()
    (root / ".env").mkdir()

    assert settings(opened(monkeypatch, root, read_only=True)).file is None
    assert looked(monkeypatch, root, "env-file")["env-file"].outcome == "fail"


@as_root
def test_state_that_root_made_is_a_finding(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `sudo invoke up` the owner of the checkout gets no traceback."""
    opened(monkeypatch, root, read_only=True).state.mkdir(parents=True, mode=0o700)

    with other_user():
        rows = looked(monkeypatch, root, "state-open", "journals", "kept-data")
        with pytest.raises(ConfigurationError, match="closed to this user") as refused:
            opened(monkeypatch, root)

    assert {rows["journals"].outcome, rows["kept-data"].outcome} == {"skipped"}
    assert rows["state-open"].outcome == "fail"
    assert rows["state-open"].repair in refused.value.hint
    mend(rows["state-open"].repair, root)
    with other_user():
        assert looked(monkeypatch, root, "state-open")["state-open"].outcome == "ok"
        opened(monkeypatch, root)


@as_root
def test_one_closed_file_of_the_state_is_a_finding(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = opened(monkeypatch, root, read_only=True).state
    state.mkdir(parents=True)
    for folder in (state, *state.parents[:2]):
        os.chown(folder, NOBODY, NOBODY)
    (state / "deployed.yml").touch(mode=0o600)

    with other_user():
        row = looked(monkeypatch, root, "state-open")["state-open"]

    assert row.outcome == "fail"
    assert "deployed.yml" in row.detail


def mend(repair: str, root: Path) -> None:
    """Run a repair as the other user types it, without sudo."""
    line = repair.removeprefix("sudo ").replace("$(id -u)", str(NOBODY))
    subprocess.run(["sh", "-c", line], cwd=root, check=True)
