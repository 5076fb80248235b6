"""What doctor says of files that tasks left, and of the newest backup."""

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from judging import STACK, judge

from jimbot_stack.checks.facts.leftovers import Journals, Leftover, partial_files

DAY = 86400.0


def half(project: str = "trial", age: float = DAY) -> Leftover:
    name = f"backups/{project}/.partial-20260101T000000Z-0001"
    return Leftover(STACK.root / name, age)


def partial(leftover: Leftover, *, holder: str = "") -> Any:
    """Return the row on one partial set while *holder* has the project's lock."""
    facts = {"partial_files": (leftover,), "journals": Journals((), holder)}
    return judge("partial-files", stack=STACK, **facts)


def test_partial_set_of_a_running_backup_is_left_alone() -> None:
    assert partial(half(), holder="invoke backup (pid 1)").outcome == "ok"
    assert partial(half()).outcome == "warn"


def test_only_the_projects_own_partial_set_is_removed_by_fix() -> None:
    """Whether another project's backup is at work, this project's lock cannot say."""
    assert [v.safe for v in partial(half()).problems] == [True]
    assert [v.safe for v in partial(half("another")).problems] == [False]


def test_partial_set_is_as_old_as_its_newest_file(tmp_path: Path) -> None:
    """A long backup's folder is old while its archive grows."""
    folder = tmp_path / "backups/trial/.partial-20260101T000000Z-0001"
    folder.mkdir(parents=True)
    (folder / "memgraph.tar.zst").touch()
    os.utime(folder, (time.time() - DAY,) * 2)

    [found] = partial_files(SimpleNamespace(root=tmp_path))  # type: ignore[arg-type]

    assert found.age < DAY / 2
