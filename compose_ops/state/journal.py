"""What a task is about to change, on disk before it does: any death can be undone."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compose_ops.project.env_file import write_private
from compose_ops.runtime.context import StackContext

FOLDER = "journal"


@dataclass(slots=True)
class Journal:
    """
    One task's record, a JSON file under the stack's state.

    `facts` say what was stopped, locked or moved; they are written before it happens.
    """

    path: Path
    kind: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def step(self) -> str:
        """The last step that the task is known to have reached."""
        return str(self.facts.get("step", ""))

    def reach(self, step: str, **facts: Any) -> None:
        """Note durably that the task got to *step*, and what it will do next."""
        reached(f"before {step}")
        self.facts |= {"step": step, **facts}
        write_private(self.path, json.dumps({"kind": self.kind, "facts": self.facts}))
        _sync(self.path.parent)
        reached(f"after {step}")

    def close(self) -> None:
        """Forget the task: it is finished, or all of it was undone."""
        reached("before close")
        self.path.unlink(missing_ok=True)
        _sync(self.path.parent)


def reached(step: str) -> None:
    """Mark a boundary between two steps; the crash tests end the process here."""


def begin(stack: StackContext, kind: str, run: str, **facts: Any) -> Journal:
    """Open the journal of a task of *kind* whose id is *run*."""
    folder = stack.state / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    journal = Journal(folder / f"{kind}-{run}.json", kind)
    journal.reach("begun", run=run, **facts)
    return journal


def pending(stack: StackContext) -> tuple[Journal, ...]:
    """Return what tasks that died have left, oldest first."""
    files = sorted((stack.state / FOLDER).glob("*.json"))
    found = []
    for path in files:
        data = json.loads(path.read_text())
        found.append(Journal(path, data["kind"], data["facts"]))
    return tuple(sorted(found, key=lambda journal: journal.path.stat().st_mtime))


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
