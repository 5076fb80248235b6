"""A journal is true on disk first, then in memory."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from compose_ops.errors import DataError
from compose_ops.state import journal
from compose_ops.state.journal import Journal


@pytest.fixture
def stack(tmp_path: Path) -> journal.HasState:
    return SimpleNamespace(state=tmp_path / "state")


def refuse(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_a_dead_task_reached_is_found(stack: journal.HasState) -> None:
    begun = journal.begin(stack, "backup", "20260101T000000Z-0001", partial="/p")
    begun.reach("stopping", stores=[{"id": "1"}])

    [found] = journal.pending(stack)

    assert (found.kind, found.step) == ("backup", "stopping")
    assert found.facts["partial"] == "/p"
    begun.close()
    assert journal.pending(stack) == ()


def test_step_that_the_disk_refused_is_not_reached(
    stack: journal.HasState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an undo in this process would act on what no other process can know."""
    begun = journal.begin(stack, "restore", "1")
    monkeypatch.setattr(os, "fsync", refuse)

    with pytest.raises(DataError, match="No space left on device"):
        begun.reach("committed", committed=True)

    assert begun.step == "begun"
    assert "committed" not in begun.facts
    assert journal.pending(stack)[0].facts == begun.facts


def test_step_of_an_undo_that_the_disk_refused_is_a_warning(
    stack: journal.HasState,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Only this process knows it; the next one repeats what was undone."""
    begun = journal.begin(stack, "restore", "1", touched=True)
    monkeypatch.setattr(os, "fsync", refuse)

    begun.reach_undoing("stopping memo", ending=["a"])

    assert "warning: " in (said := capsys.readouterr().err)
    assert "No space left on device" in said
    assert begun.facts["ending"] == ["a"]
    assert "ending" not in journal.pending(stack)[0].facts


def test_step_is_reached_where_only_the_folder_could_not_be_synced(
    stack: journal.HasState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next task would find it: so does this one's undo."""
    begun = journal.begin(stack, "restore", "1")
    monkeypatch.setattr(os, "fsync", _from_second(refuse))

    with pytest.raises(DataError):
        begun.reach("committed", committed=True)

    assert begun.facts["committed"] is True
    assert journal.pending(stack)[0].facts == begun.facts


def _from_second(act: Callable[..., None]) -> Callable[[int], None]:
    calls = iter(range(99))

    def after_the_first(handle: int) -> None:
        if next(calls):
            act(handle)

    return after_the_first


def test_steps_of_memory_alone_are_not_in_the_facts(stack: journal.HasState) -> None:
    """A caller that goes on filling its list changes nothing that was written."""
    begun = journal.begin(stack, "backup", "1")
    begun.reach("stopping", ending=["a"])
    written = begun.facts

    begun.reach("stopping", ending=[*written["ending"], "b"])

    assert written["ending"] == ["a"]
    assert begun.facts["ending"] == ["a", "b"]


def test_damaged_journal_is_listed_with_its_problem(stack: journal.HasState) -> None:
    journal.begin(stack, "restore", "1")
    (stack.state / "journal/backup-2.json").write_text("[1,2]")

    found = {one.kind: one for one in journal.pending(stack)}

    assert found["restore"].problem is None
    assert isinstance(found["backup"].problem, DataError)
    assert "backup-2.json" in found["backup"].problem.message


def test_journal_that_cannot_be_closed_is_no_traceback(
    stack: journal.HasState, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: Journal = journal.begin(stack, "backup", "1")
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: refuse())

    with pytest.raises(DataError, match="cannot be removed"):
        begun.close()
