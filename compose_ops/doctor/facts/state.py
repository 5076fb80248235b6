"""Facts of what tasks remember, which a task of another user may have closed."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compose_ops.docker.api import EngineInfo
from compose_ops.doctor.registry import NotMeasuredError, fact
from compose_ops.project.paths import STATE
from compose_ops.runtime.context import StackContext


@dataclass(frozen=True, slots=True)
class State:
    """The folder of the project's state; `closed` is what this user may not use."""

    folder: Path
    closed: str = ""


@fact(limit=1)
def state(stack: StackContext, info: EngineInfo) -> State:
    del info
    closed = next(_closed(stack.root / STATE, stack.state), None)
    return State(
        stack.state, "" if closed is None else str(closed.relative_to(stack.root))
    )


def _closed(top: Path, folder: Path) -> Iterator[Path]:
    """Yield folders from *top* to *folder*, and files there, that are not ours."""
    for one in sorted({top, folder, *folder.parents} - set(top.parents)):
        if one.exists() and not os.access(one, os.R_OK | os.W_OK | os.X_OK):
            yield one
            return
    for file in folder.rglob("*"):
        if not os.access(file, os.R_OK | os.W_OK):
            yield file


@fact(limit=1)
def readable_state(state: State) -> Path:
    """Return the folder of the project's state; it may not exist."""
    if state.closed:
        raise NotMeasuredError(f"{state.closed} is closed to this user")
    return state.folder
