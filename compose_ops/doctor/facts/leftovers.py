"""Facts of what interrupted or finished tasks left behind."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from compose_ops.docker.api import Container, EngineInfo, Volume
from compose_ops.doctor.registry import fact
from compose_ops.project.paths import PREVIOUS_FILE
from compose_ops.runtime.context import StackContext
from compose_ops.state import lock


@dataclass(frozen=True, slots=True)
class Leftover:
    """
    A file or folder that a task left; `kind` is the task's.

    `age` is the seconds since anything was last written to it.
    """

    path: Path
    age: float
    kind: str = ""
    service: str = ""


@dataclass(frozen=True, slots=True)
class Journals:
    """Journals of tasks, and who holds the project's lock: then one is at work."""

    left: tuple[Leftover, ...]
    holder: str = ""


@fact(limit=3)
def journals(stack: StackContext, info: EngineInfo, readable_state: Path) -> Journals:
    """Return the journals of tasks that did not end."""
    holder = lock.holder(info.id, stack.project)
    return Journals(tuple(_journals(readable_state)), holder)


def _journals(state: Path) -> Iterator[Leftover]:
    for path in sorted([*state.glob("rollout.json"), *state.glob("journal/*.json")]):
        kind = path.stem if path.parent == state else path.stem.partition("-")[0]
        try:
            service = json.loads(path.read_text()).get("service", "")
        except (OSError, ValueError, AttributeError):
            service = ""
        yield Leftover(path, _age(path), kind, str(service))


@fact(limit=5)
def partial_files(stack: StackContext) -> tuple[Leftover, ...]:
    """Return files and folders that were being written when a task ended."""
    backups = stack.backups
    found = {p for f in (stack.root, backups) for p in f.glob("*.partial")}
    found |= set(backups.glob("*/.partial-*")) | set(backups.glob("*/*.partial"))
    found |= set(stack.root.glob(".*.partial"))
    return tuple(Leftover(path, _rest(path)) for path in sorted(found))


def _rest(path: Path) -> float:
    """Return for how many seconds nothing was written to a file or below a folder."""
    ages = [_age(path)]
    with suppress(OSError):
        ages += [_age(one) for one in path.rglob("*")]
    return min(ages)


@dataclass(frozen=True, slots=True)
class BackupAge:
    """Seconds since the newest verified set was taken; since the oldest data began."""

    verified: float | None
    data: float | None


@fact(limit=5)
def backup_age(
    stack: StackContext, ours: tuple[Container, ...], volumes: tuple[Volume, ...]
) -> BackupAge:
    """Return how old the newest verified set is, and how old what is in use."""
    used = {m.name for c in ours for m in c.mounts if m.kind == "volume"}
    begun = [v.created for v in volumes if v.name in used and v.created]
    moments = stack.collaborators.backups.verified_sets(stack)
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


@fact(limit=3)
def kept_data(stack: StackContext, readable_state: Path) -> tuple[KeptData, ...]:
    """Return what restores have moved aside and not discarded."""
    if not (readable_state / PREVIOUS_FILE).exists():
        return ()
    now = datetime.now(UTC)
    return tuple(
        KeptData(
            entry.services,
            (now - entry.moment).total_seconds(),
            entry.is_outlived,
        )
        for entry in stack.collaborators.backups.restore_points(stack)
    )


def _age(path: Path) -> float:
    return time.time() - path.lstat().st_mtime
