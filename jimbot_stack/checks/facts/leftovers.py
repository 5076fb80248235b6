"""Facts of what interrupted or finished tasks left behind."""

import time
from dataclasses import dataclass
from pathlib import Path

from jimbot_stack.checks.registry import fact
from jimbot_stack.engine import EngineInfo
from jimbot_stack.paths import BACKUPS
from jimbot_stack.stack import Stack


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file that a task left; `age` in seconds."""

    path: Path
    age: float


@fact(limit=3)
def journals(stack: Stack, info: EngineInfo) -> tuple[Leftover, ...]:
    """Return the journals of tasks that did not end."""
    del info
    found = stack.state.glob("*journal*") if stack.state.is_dir() else ()
    return tuple(map(_leftover, sorted(found)))


@fact(limit=5)
def partial_files(stack: Stack) -> tuple[Leftover, ...]:
    """Return files and folders that were being written when a task ended."""
    folders = (stack.root, stack.root / BACKUPS)
    found = {p for folder in folders for p in folder.glob("*.partial")}
    found |= set((stack.root / BACKUPS).glob("*/*.partial"))
    return tuple(map(_leftover, sorted(found)))


def _leftover(path: Path) -> Leftover:
    return Leftover(path, time.time() - path.stat().st_mtime)
