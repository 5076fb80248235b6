"""Facts of what interrupted or finished tasks left behind."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from compose_ops.config import Config
from compose_ops.docker.api import Container, EngineInfo, Volume
from compose_ops.doctor.facts.folders import below
from compose_ops.doctor.registry import fact
from compose_ops.errors import ConfigurationError, DataError
from compose_ops.project.model import Model
from compose_ops.project.paths import PREVIOUS_FILE
from compose_ops.runtime.context import StackContext
from compose_ops.state import engine_lock, lock, recovery
from compose_ops.state.engine_lock import Holder
from compose_ops.state.recovery import Unfinished


@dataclass(frozen=True, slots=True)
class Leftover:
    """
    A file or folder that a task was writing when it ended.

    `age` is the seconds since anything was last written to it.
    """

    path: Path
    age: float


@dataclass(frozen=True, slots=True)
class Journals:
    """Tasks that did not end, and who holds the project's lock: then one is at work."""

    left: tuple[Unfinished, ...]
    holder: str = ""


@dataclass(frozen=True, slots=True)
class EngineLock:
    """The lock on the engine, None for none; `here` is who is at work here, "" none."""

    held: Holder | None
    here: str = ""


@fact(limit=6)
def journals(stack: StackContext, info: EngineInfo, readable_state: Path) -> Journals:
    """Return the journals of tasks that did not end."""
    del readable_state
    return Journals(recovery.pending(stack), lock.holder(info.id, stack.project))


@fact(limit=10)
def engine_lock_holder(stack: StackContext, info: EngineInfo) -> EngineLock:
    """Return who holds the project's lock on the engine, and whether a task works."""
    return EngineLock(
        engine_lock.holder(stack.engine, stack.project),
        lock.holder(info.id, stack.project),
    )


@dataclass(frozen=True, slots=True)
class DataDeclared:
    """Mounts that nobody declares; `problem` is why labels make no sense, "" if ok."""

    undeclared: tuple[str, ...] = ()
    problem: str = ""


@fact(limit=10)
def data_declared(stack: StackContext, info: EngineInfo, model: Model) -> DataDeclared:
    """Return what `backup --all` would refuse to leave out."""
    del info, model
    try:
        return DataDeclared(tuple(stack.collaborators.backups.undeclared(stack)))
    except ConfigurationError as wrong:
        return DataDeclared(problem=f"{wrong.message}: {wrong.hint}")


@fact(limit=10)
def partial_files(stack: StackContext) -> tuple[Leftover, ...]:
    """Return files and folders that were being written when a task ended."""
    found = set[Path]()
    for folder, patterns in _places(stack):
        for pattern in patterns:
            with suppress(OSError):
                found |= set(folder.glob(pattern))
    return tuple(_with_ages(sorted(found)))


FILES, FILES_BELOW = "*.partial", "*/*.partial"
SETS = (FILES, FILES_BELOW, "*/.partial-*", "*/.removed-*")


def _places(stack: StackContext) -> Iterator[tuple[Path, Sequence[str]]]:
    """Yield the folders that tasks write to, and what is unfinished there."""
    yield stack.root, [FILES]
    yield stack.backups, SETS
    files = stack.collaborators.backups.password_files(stack)
    for folder in (*secret_folders(stack.config), *(file.parent for file in files)):
        yield folder, [FILES]
    if stack.config.init.certificates.servers:
        yield stack.config.path(stack.config.init.certificates.folder), [FILES]
    if stack.known is None:  # nothing is asked of an engine that does not answer
        return
    # Another fact says that the state is damaged.
    with suppress(DataError):
        yield stack.state, [FILES, FILES_BELOW]
        for folder in stack.collaborators.backups.set_folders(stack):
            yield folder, SETS


def secret_folders(config: Config) -> tuple[Path, ...]:
    """Return the folders of the files with secrets that `init` writes."""
    names = (*config.init.secrets, *config.init.tokens)
    return tuple(dict.fromkeys(config.path(name).parent for name in names))


def _with_ages(paths: Iterable[Path]) -> Iterator[Leftover]:
    """Tell for how long nothing was written to files, or below folders, still there."""
    now = time.time()
    for path in paths:
        with suppress(FileNotFoundError):
            times = [path.lstat().st_mtime]
            times += [status.st_mtime for _, status in below(path)]
            yield Leftover(path, now - max(times))


@dataclass(frozen=True, slots=True)
class BackupAge:
    """Seconds since the newest verified set was taken; since the oldest data began."""

    verified: float | None
    data: float | None


@fact(limit=10)
def backup_age(
    stack: StackContext, ours: tuple[Container, ...], volumes: tuple[Volume, ...]
) -> BackupAge:
    """Return how old the newest verified set is, and how old what is in use."""
    used = {m.name for c in ours for m in c.mounts if m.kind == "volume"}
    begun = [v.created for v in volumes if v.name in used and v.created]
    moments = stack.collaborators.backups.newest_verified(stack)
    now = datetime.now(UTC)
    return BackupAge(
        (now - max(moments)).total_seconds() if moments else None,
        (now - min(begun)).total_seconds() if begun else None,
    )


@dataclass(frozen=True, slots=True)
class KeptData:
    """Data that a restore moved aside: whose, since when, and if its time is over."""

    services: tuple[str, ...]
    age: float
    is_outlived: bool


@dataclass(frozen=True, slots=True)
class AllKeptData:
    """What can come back, and a line on what went with each volume that is gone."""

    offered: tuple[KeptData, ...] = ()
    lost: tuple[str, ...] = ()


@fact(limit=6)
def kept_data(
    stack: StackContext, info: EngineInfo, readable_state: Path
) -> AllKeptData:
    """Return what restores have moved aside and not discarded."""
    del info
    if not (readable_state / PREVIOUS_FILE).exists():
        return AllKeptData()
    now = datetime.now(UTC)
    entries, lost = stack.collaborators.backups.restore_points(stack)
    offered = (
        KeptData(
            entry.services,
            (now - entry.moved_at).total_seconds(),
            entry.is_outlived,
        )
        for entry in entries
    )
    return AllKeptData(tuple(offered), tuple(lost))
