"""What an update has done so far, on disk before each step, for whoever comes next."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from compose_ops.project.compat import old_name
from compose_ops.state import journal as journals
from compose_ops.state import store
from compose_ops.state.decode import decode

KIND = "update"
FILE = f"{journals.FOLDER}/{KIND}.json"


@dataclass(slots=True)
class SlotState:
    """
    A slot being changed: container ids, and the old one's name and restart policy.

    *served* says that the old container was healthy and attached when the update began:
    one that was not is put back without being asked for more. *touched* says that the
    old container was told to drain, or stopped since; *started* that the new one may
    have run, and have changed the data of a store; *proven* that the batch's verdict
    was good, so that the old one is what goes; *failed* that it was bad.
    """

    old: str = ""
    name: str = ""
    restart: str = ""
    new: str = ""
    served: bool = True
    attached: bool = True
    touched: bool = False
    started: bool = False
    proven: bool = False
    failed: bool = False


@dataclass(slots=True)
class Journal:
    """
    The running update of one service; `before` are the containers that it found.

    *reference* names the image tag that a build moved, and *image_id* what it named.
    *slots* says how many places there will be, *record* what is deployed once all of
    them are proven (`settle`). *point* is the restore point of a store's data, which
    is there once *point_made*. *followers* are the services that ran and follow it.
    """

    path: Path
    service: str
    before: list[str]
    places: list[SlotState] = field(default_factory=list)
    slots: int = 0
    record: dict[str, Any] = field(default_factory=dict)
    reference: str = ""
    image_id: str = ""
    step: str = ""
    point: str = ""
    point_made: bool = False
    followers: list[str] = field(default_factory=list)

    def note(self, step: str) -> None:
        """Write everything durably; *step* is what happens next. DataError."""
        facts = {k: v for k, v in asdict(self).items() if k != "path"}
        record = journals.Record(KIND, {**facts, "step": step})
        store.save(self.path, record, journals.VERSION)
        self.step = step

    def note_undoing(self, step: str) -> None:
        """Do what `note` does; where the disk refuses, only this process knows it."""
        with journals.undo_goes_on():
            self.note(step)
        self.step = step

    def close(self) -> None:
        store.remove(self.path)

    @property
    def known(self) -> set[str]:
        """The containers that were found, and those that were noted since."""
        return {*self.before, *(p.new for p in self.places if p.new)}


def read(state: Path) -> Journal | None:
    """
    Return what a run that ended before its time left, None when none did.

    Raises DataError for a journal that is damaged.
    """
    paths = (state / FILE, state / old_name("state", "update"))
    found = next(filter(None, map(journals.read, paths)), None)
    if found is None:
        return None
    if found.problem:
        raise found.problem
    try:
        return decode({**found.facts, "path": str(found.path)}, Journal)
    except ValueError as wrong:
        raise store.damaged(found.path, str(wrong), journals.WITHOUT) from wrong
