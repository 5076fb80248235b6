"""One task at a time changes a project: a lock that dies with its holder."""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from jimbot_stack.errors import Locked


@contextmanager
def locked(engine_id: str, project: str, *, task: str) -> Iterator[None]:
    """
    Hold the lock of a project on an engine, or raise Locked with its holder's name.

    The lock is an flock, so no death of a process leaves it behind; it covers the tasks
    of every user and checkout on this machine, not those of other machines.
    """
    path = _path(engine_id, project)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    with os.fdopen(handle, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            raise Locked(
                f"another task is changing {project}: {_holder(path)}",
                hint="wait until it ends, or end it, then run this again",
            ) from held
        _share(file.fileno())
        file.truncate(0)
        file.write(json.dumps(_self(task)))
        file.flush()
        yield
        file.seek(0)
        file.truncate(0)


def holder(engine_id: str, project: str) -> str:
    """Return who holds the lock right now, nothing when nobody does."""
    path = _path(engine_id, project)
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(path)
    except OSError:
        return ""
    return ""


def _path(engine_id: str, project: str) -> Path:
    folder = Path("/run/lock")
    if not os.access(folder, os.W_OK):
        folder = Path(tempfile.gettempdir())
    digest = sha256(f"{engine_id}/{project}".encode()).hexdigest()[:16]
    return folder / f"jimbot-stack-{digest}.lock"


def _self(task: str) -> dict[str, object]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"task": task, "pid": os.getpid(), "uid": os.getuid(), "since": now}


def _holder(path: Path) -> str:
    try:
        data = json.loads(path.read_text())
        return f"{data['task']} (pid {data['pid']}, since {data['since']})"
    except (OSError, ValueError, KeyError):
        return "a task that has just begun"


def _share(handle: int) -> None:
    """Let other users' tasks open the file, whatever the umask was."""
    if os.fstat(handle).st_uid == os.getuid():
        os.fchmod(handle, 0o666)
