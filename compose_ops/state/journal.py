"""What a task is about to change, on disk before it does: any death can be undone."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from compose_ops.console import say
from compose_ops.errors import ComposeOpsError
from compose_ops.project.compat import old_name
from compose_ops.state import store

FOLDER = "journal"
VERSION = 1
WITHOUT = "without it no task starts what stayed stopped: see invoke status first"


class HasState(Protocol):
    """What has a folder of state."""

    @property
    def state(self) -> Path: ...


@dataclass(frozen=True, slots=True)
class Record:
    """What a journal's file holds."""

    kind: str
    facts: dict[str, Any]


@dataclass(slots=True)
class Journal:
    """
    One task's record, a JSON file under the stack's state.

    `facts` say what was stopped, locked or moved; they are written before it happens.
    `problem` is why the file could not be read, None where it could.
    """

    path: Path
    kind: str
    facts: dict[str, Any] = field(default_factory=dict)
    problem: ComposeOpsError | None = None

    @property
    def step(self) -> str:
        """The last step that the task is known to have reached."""
        return str(self.facts.get("step", ""))

    @property
    def age(self) -> float:
        """Seconds since the task last wrote to it."""
        try:
            return max(0.0, time.time() - self.path.lstat().st_mtime)
        except OSError:
            return 0.0

    def reach(self, step: str, **facts: Any) -> None:
        """
        Note durably that the task got to *step*, and what it will do next.

        Raises DataError where the disk refuses; then `facts` are those that the next
        task would find.
        """
        reached(f"before {step}")
        self.replace({**self.facts, "step": step, **facts})
        reached(f"after {step}")

    def reach_undoing(self, step: str, **facts: Any) -> None:
        """Do what `reach` does; where the disk refuses, only this process knows it."""
        with undo_goes_on():
            self.reach(step, **facts)
        self.facts = {**self.facts, "step": step, **facts}

    def replace(self, facts: Mapping[str, Any]) -> None:
        """Make *facts* the facts, on disk first; DataError."""
        record = Record(self.kind, dict(facts))
        try:
            store.save(self.path, record, VERSION)
        except BaseException:
            self._reload()
            raise
        self.facts = record.facts

    def _reload(self) -> None:
        """Take the facts of the file: whether it was replaced is seen only there."""
        found = read(self.path)
        if found is not None and found.problem is None:
            self.facts = found.facts

    def close(self) -> None:
        """Forget the task: it is finished, or all of it was undone."""
        reached("before close")
        store.remove(self.path)


@contextmanager
def undo_goes_on() -> Iterator[None]:
    """
    Let an undo go on where the disk refuses the note in the block; a warning says so.

    The next task that finds the journal repeats what was undone, which does no harm.
    """
    try:
        yield
    except ComposeOpsError as refused:
        say(f"warning: {refused.message}; the undo goes on")


def reached(step: str) -> None:
    """Mark a boundary between two steps; the crash tests end the process here."""


def begin(stack: HasState, kind: str, run: str, **facts: Any) -> Journal:
    """Open the journal of a task of *kind* whose id is *run*."""
    journal = Journal(stack.state / FOLDER / f"{kind}-{run}.json", kind)
    journal.reach("begun", run=run, **facts)
    return journal


def read(path: Path) -> Journal | None:
    """Return the journal in a file, with its `problem` if it has one; None for none."""
    is_old = path.name == old_name("state", "update")
    kind = "update" if is_old else path.stem.partition("-")[0]
    try:
        found = store.load(
            path, Record, VERSION, upgrade=_upgrade(path), without=WITHOUT
        )
    except ComposeOpsError as problem:
        return Journal(path, kind, problem=problem)
    return Journal(path, found.kind, found.facts) if found else None


def pending(stack: HasState) -> tuple[Journal, ...]:
    """Return what tasks that died have left, the one that wrote first first."""
    folder = stack.state / FOLDER
    paths = [*folder.glob("*.json"), stack.state / old_name("state", "update")]
    found = [journal for path in sorted(paths) if (journal := read(path))]
    return tuple(sorted(found, key=lambda journal: -journal.age))


def _upgrade(path: Path) -> Any:
    """Return how to read what the version before wrote: of an update, only facts."""

    def upgrade(_schema: int, data: Any) -> Any:
        if path.name == old_name("state", "update"):
            return {"kind": "update", "facts": data}
        return data

    return upgrade
