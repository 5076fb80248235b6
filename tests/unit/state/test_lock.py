"""One task at a time: the lock names its holder and dies with it."""

import errno
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from compose_ops.errors import ConfigurationError, Locked
from compose_ops.state import lock
from compose_ops.state.lock import locked

HOLD = """
import sys
from compose_ops.state.lock import locked
with locked("engine", sys.argv[1], task="invoke backup"):
    print("held", flush=True)
    sys.stdin.read()
"""

AS_NOBODY = """
import os, compose_ops.state.lock
os.umask(0o077)
os.setuid(65534)
"""


def holder(project: str) -> subprocess.Popen[str]:
    """Begin another process that holds the lock until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, project],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_second_task_is_refused_with_the_holders_name() -> None:
    project = f"lock-{os.getpid()}"
    with holder(project) as process:
        with (
            pytest.raises(Locked, match=f"invoke backup .pid {process.pid}"),
            locked("engine", project, task="invoke up"),
        ):
            pass
        process.kill()


def test_killed_holder_leaves_no_lock() -> None:
    """SIGKILL runs no clean-up, and none is needed."""
    project = f"lock-{os.getpid()}"
    with holder(project) as process:
        process.kill()
        process.wait()

    with locked("engine", project, task="invoke up"):
        pass


def test_other_project_is_not_locked() -> None:
    with (
        locked("engine", f"one-{os.getpid()}", task="invoke up"),
        locked("engine", f"two-{os.getpid()}", task="invoke up"),
    ):
        pass


def test_lock_of_another_user_is_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a sticky folder the kernel refuses O_CREAT on it, even to root."""
    monkeypatch.setattr(lock, "FOLDERS", (shared(tmp_path),))
    with locked("engine", "theirs", task="invoke up"):
        pass
    monkeypatch.setattr(os, "open", guarded(os.open))

    with locked("engine", "theirs", task="invoke up"):
        pass


def guarded(real: Callable[..., int]) -> Callable[..., int]:
    """Refuse as Linux does with fs.protected_regular for files of other users."""

    def opened(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT and Path(path).exists() and not flags & os.O_EXCL:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, flags, mode)

    return opened


def shared(folder: Path) -> Path:
    folder.chmod(0o1777)
    return folder


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other users")
def test_two_users_meet_at_one_lock() -> None:
    """Root and a plain user do not change a project at the same time."""
    project = f"lock-{os.getpid()}"
    with subprocess.Popen(
        [sys.executable, "-c", AS_NOBODY + HOLD, project],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with (
            pytest.raises(Locked, match=f"invoke backup .pid {process.pid}"),
            locked("engine", project, task="invoke up"),
        ):
            pass
        process.kill()
    with locked("engine", project, task="invoke up"):
        pass


def test_folder_is_the_same_for_who_may_not_write_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only root may write to some machines' /run/lock: no lock lies there then."""
    closed, open_to_all = tmp_path / "closed", tmp_path / "open"
    closed.mkdir(mode=0o755)
    open_to_all.mkdir()
    monkeypatch.setattr(lock, "FOLDERS", (closed, shared(open_to_all)))

    with locked("engine", "any", task="invoke up"):
        assert list(open_to_all.iterdir())
        assert not list(closed.iterdir())


def test_lock_that_cannot_be_opened_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "FOLDERS", (shared(tmp_path),))
    with locked("engine", "any", task="invoke up"):
        [file] = tmp_path.glob("compose-ops-*")
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")

    with (
        pytest.raises(ConfigurationError, match="cannot be opened") as refused,
        locked("engine", "any", task="invoke up"),
    ):
        pass

    assert refused.value.hint.endswith(f"sudo rm -f {file}")


def test_who_asks_for_the_holder_keeps_no_task_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To ask takes the lock for an instant, shared."""
    monkeypatch.setattr(lock, "FOLDERS", (shared(tmp_path),))
    with locked("engine", "any", task="invoke up"):
        [file] = tmp_path.glob("compose-ops-*")
    with file.open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        monkeypatch.setattr(time, "sleep", lambda _seconds: asking.close())

        with locked("engine", "any", task="invoke up"):
            pass


def test_task_of_the_version_before_is_excluded_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both versions may be installed: they do not change a project at the same time."""
    monkeypatch.setattr(lock, "FOLDERS", (shared(tmp_path),))
    with locked("engine", "any", task="invoke up"):
        names = {path.name.rpartition("-")[0] for path in tmp_path.iterdir()}
        [old] = tmp_path.glob("jimbot-stack-*")
        with old.open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert "invoke up" in old.read_text()
    assert names == {"compose-ops", "jimbot-stack"}

    with old.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write('{"task": "invoke backup", "pid": 7, "since": "noon"}')
        file.flush()
        assert lock.holder("engine", "any").startswith("invoke backup (pid 7")
        with (
            pytest.raises(Locked, match="invoke backup"),
            locked("engine", "any", task="invoke up"),
        ):
            pass
