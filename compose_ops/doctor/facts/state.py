"""Facts of the stored state, which a task of another user may own."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compose_ops.docker.api import EngineInfo
from compose_ops.doctor.facts.folders import below
from compose_ops.doctor.registry import NotMeasuredError, fact
from compose_ops.errors import ComposeOpsError
from compose_ops.runtime.context import StackContext


@dataclass(frozen=True, slots=True)
class State:
    """The folder of the project's state; `closed` is what this user may not use."""

    folder: Path
    closed: str = ""


@fact(limit=2)
def state(stack: StackContext, info: EngineInfo) -> State:
    del info
    closed = next(_closed(stack.state.parents[1], stack.state), None)
    return State(
        stack.state, "" if closed is None else str(closed.relative_to(stack.root))
    )


def _closed(top: Path, folder: Path) -> Iterator[Path]:
    """Yield folders from *top* to *folder*, and files there, that are not ours."""
    for path in sorted({top, folder, *folder.parents} - set(top.parents)):
        if path.exists() and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            yield path
            return
    for file, _ in below(folder):
        if not os.access(file, os.R_OK | os.W_OK):
            yield file


@dataclass(frozen=True, slots=True)
class DamagedState:
    """A file of the state that no task can read, and why."""

    path: Path
    problem: str
    without: str


@fact(limit=6)
def damaged_state(
    stack: StackContext, readable_state: Path
) -> tuple[DamagedState, ...]:
    """Return what of the project's state is damaged or of a newer version."""
    found = []
    for kind in stack.collaborators.state_files:
        try:
            kind.read(readable_state)
        except ComposeOpsError as refused:
            path = readable_state / kind.name
            found.append(DamagedState(path, refused.message, kind.without))
    return tuple(found)


@fact(limit=2)
def readable_state(state: State) -> Path:
    """Return the folder of the project's state; it may not exist."""
    if state.closed:
        raise NotMeasuredError(f"{state.closed} is not accessible to this user")
    return state.folder
