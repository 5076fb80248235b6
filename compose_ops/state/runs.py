"""
How the last runs of a project's tasks went, and what each destination holds since.

It lies beside the state of engines, in `.compose-ops/runs/PROJECT.json`: a run that
finds no engine is remembered, too.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from compose_ops.project.paths import STATE
from compose_ops.state import store
from compose_ops.state.decode import check_times
from compose_ops.state.store import StateFile

FOLDER = "runs"
IGNORE = ".gitignore"


@dataclass(frozen=True, slots=True)
class Run:
    """
    The last run of a task. Times are RFC 3339, "" for never; `seconds` is its duration.

    `succeeded` is when a run last ended well, `error` why the last one did not.
    """

    started: str
    ended: str
    seconds: float
    exit_code: int
    error: str = ""
    succeeded: str = ""

    def __post_init__(self) -> None:
        check_times(self.started, self.ended, self.succeeded)


@dataclass(frozen=True, slots=True)
class Copy:
    """
    What a destination holds of a service. Times are RFC 3339, "" for none.

    `success`, `verified` and `proven` are when the newest set was taken, the newest
    that is verified, and the newest that a drill proved: to verify an old set again
    renews no data. `bytes`, `seconds` and `downtime` (seconds) are of the newest set,
    `exit_code` of the last backup of the service.
    """

    service: str
    destination: str
    success: str = ""
    verified: str = ""
    proven: str = ""
    bytes: int = 0
    seconds: float = 0.0
    downtime: float = 0.0
    exit_code: int = 0

    def __post_init__(self) -> None:
        check_times(self.success, self.verified, self.proven)


@dataclass(frozen=True, slots=True)
class Runs:
    """The last run of each task, what destinations hold; `since` is the first run."""

    since: str = ""
    tasks: Mapping[str, Run] = field(default_factory=dict)
    copies: tuple[Copy, ...] = ()

    def __post_init__(self) -> None:
        check_times(self.since)


def _file(project: str) -> StateFile[Runs]:
    return StateFile(
        f"{project}.json",
        Runs,
        without="what earlier runs reported is forgotten",
        is_cache=True,
    )


STATE_FILE = _file("PROJECT")


def load(root: Path, project: str) -> Runs:
    """Return what is known; nothing of a file that is damaged, which is said."""
    return _file(project).load(_folder(root)) or Runs()


def update(root: Path, project: str, change: Callable[[Runs], Runs]) -> Runs:
    """
    Replace what is known by what *change* makes of it, and return that.

    Raises DataError where the disk refuses, ConfigurationError where the folder is
    closed to this user.
    """
    folder = _folder(root)
    store.make_folder(folder)
    if not (root / STATE / IGNORE).exists():
        store.write(root / STATE / IGNORE, "*\n")
    with _alone(folder):
        new = change(load(root, project))
        _file(project).save(folder, new)
    return new


def now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time change the files of *folder*."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _folder(root: Path) -> Path:
    return root / STATE / FOLDER
