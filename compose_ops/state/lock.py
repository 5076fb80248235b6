"""One task at a time changes a project: a lock that dies with its holder."""

import fcntl
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from compose_ops.console import say
from compose_ops.errors import ConfigurationError, Locked
from compose_ops.project.compat import old_name

FOLDERS = (Path("/run/lock"), Path("/tmp"))  # noqa: S108 - where every user may write
PREFIXES = ("compose-ops-", old_name("lock", "prefix"))
WAIT = "COMPOSE_OPS_LOCK_WAIT"
"""The variable with the seconds that a task waits for another one; by default none."""
WAIT_LOOK_SECONDS = 0.5
LOOKS = 5
LOOK_SECONDS = 0.02
"""Who asks for the holder has the lock for an instant, which is no task at work."""


@contextmanager
def locked(engine_id: str, project: str, *, task: str) -> Iterator[None]:
    """
    Hold the lock of a project on an engine, or raise Locked with its holder's name.

    The lock is an flock, so no death of a process leaves it behind; it covers the tasks
    of every user and checkout on this machine, those of the version before too, not
    those of other machines.
    """
    with ExitStack() as taken:
        for path in _paths(engine_id, project):
            taken.enter_context(_held(path, project, task))
        yield


def holder(engine_id: str, project: str) -> str:
    """Return who holds the lock right now, nothing when nobody does."""
    held = map(_holding, _paths(engine_id, project))
    return next(filter(None, held), "")


def waited(is_taken: Callable[[], bool], holder: str) -> bool:
    """
    Ask again until *is_taken* holds; False once `COMPOSE_OPS_LOCK_WAIT` seconds passed.

    *holder* is who has the lock now.
    """
    text = os.environ.get(WAIT, "")
    seconds = int(text) if text.isascii() and text.isdigit() else 0
    if not seconds:
        return False
    say(f"waiting up to {seconds} s for {holder}")
    deadline = time.monotonic() + seconds
    while not is_taken():
        if time.monotonic() > deadline:
            return False
        time.sleep(WAIT_LOOK_SECONDS)
    return True


@contextmanager
def _held(path: Path, project: str, task: str) -> Iterator[None]:
    with os.fdopen(_open(path), "r+") as file:
        if not (
            _is_taken(file.fileno())
            or waited(lambda: _is_taken(file.fileno()), _holder(path))
        ):
            raise Locked(
                f"another task is changing {project}: {_holder(path)}",
                hint="wait until it ends, or end it, then run this again",
            )
        file.truncate(0)
        file.write(json.dumps(_self(task)))
        file.flush()
        yield
        file.seek(0)
        file.truncate(0)


def _holding(path: Path) -> str:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(path)
    except OSError:
        return ""
    return ""


def _paths(engine_id: str, project: str) -> tuple[Path, ...]:
    """Return the lock's file, and that of the version before: both are taken."""
    digest = sha256(f"{engine_id}/{project}".encode()).hexdigest()[:16]
    return tuple(_folder() / f"{prefix}{digest}.lock" for prefix in PREFIXES)


def _folder() -> Path:
    """Return the folder of locks, which is the same for every user."""
    for folder in FOLDERS:
        with suppress(OSError):
            if folder.stat().st_mode & stat.S_IWOTH:
                return folder
    return Path(tempfile.gettempdir())


def _open(path: Path) -> int:
    """
    Return a handle of the lock's file; ConfigurationError where none can be had.

    A file that is there is never opened with O_CREAT: in a folder like /tmp the kernel
    refuses that to everybody but its owner, root included (fs.protected_regular).
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with suppress(FileNotFoundError):
            return os.open(path, flags)
        with suppress(FileExistsError):
            return _made(path, flags)
        return os.open(path, flags)
    except OSError as refused:
        raise ConfigurationError(
            f"the lock {path} cannot be opened: {refused.strerror}",
            hint=f"take it away while no task is at work: sudo rm -f {path}",
        ) from refused


def _made(path: Path, flags: int) -> int:
    """Make the file so that other users' tasks can open it, whatever the umask is."""
    handle = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
    os.fchmod(handle, 0o666)
    return handle


def _is_taken(handle: int) -> bool:
    for look in range(LOOKS):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOOK_SECONDS if look + 1 < LOOKS else 0)
        else:
            return True
    return False


def _self(task: str) -> dict[str, object]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"task": task, "pid": os.getpid(), "uid": os.getuid(), "since": now}


def _holder(path: Path) -> str:
    try:
        data = json.loads(path.read_text())
        return f"{data['task']} (pid {data['pid']}, since {data['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "a task that has just begun"
