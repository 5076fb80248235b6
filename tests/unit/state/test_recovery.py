"""What dead tasks left: undone before the next change, or in nobody else's way."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from compose_ops.errors import ComposeOpsError, DataError, EngineError, UnhealthyError
from compose_ops.state import engine_lock, journal, recovery
from compose_ops.state.journal import Journal
from compose_ops.state.recovery import exclusive, pending, recover, register


class Stack:
    """A project in a folder, on an engine that counts how often it is asked."""

    def __init__(self, root: Path) -> None:
        self.root, self.project, self.dry = root, "trial", False
        self.state = root / ".compose-ops/engine/trial"
        self.info = SimpleNamespace(id="engine")
        self.everyone: tuple[Any, ...] = ()
        self.asked = 0
        self.reloaded = 0
        self.is_provisional = False
        self.engine = self

    def containers(self) -> tuple[str, ...]:
        self.asked += 1
        return ("as it is now",)

    def reload(self) -> None:
        self.reloaded += 1


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a project, and let kinds be registered for this test alone."""
    monkeypatch.setattr(recovery, "_handlers", {})
    monkeypatch.setattr(recovery, "locked", lambda *_, **__: nullcontext())
    monkeypatch.setattr(engine_lock, "locked", lambda *_, **__: nullcontext())
    return Stack(tmp_path)


def undone_by(
    kind: str, failure: Exception | None = None, *, of: Any = None
) -> list[str]:
    """Register *kind*; return the runs that are undone. Its undo may fail."""
    runs: list[str] = []

    def undo(_stack: Any, found: Journal) -> None:
        if failure:
            raise failure
        runs.append(found.facts["run"])
        found.close()

    register(kind, undo, concerns=lambda _facts: of)
    return runs


def test_what_a_dead_task_left_is_undone_first(stack: Any) -> None:
    runs = undone_by("backup")
    journal.begin(stack, "backup", "1")

    with exclusive(stack, "invoke up"):
        assert runs == ["1"]
        assert stack.everyone == ("as it is now",)

    assert not pending(stack)


def test_recovery_is_quiet_and_asks_nothing_where_nothing_is_left(
    stack: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    undone_by("backup")
    journal.begin(stack, "backup", "1")
    recover(stack)
    capsys.readouterr()
    asked = stack.asked

    recover(stack)

    assert stack.asked == asked
    assert capsys.readouterr().err == ""


def test_pending_names_kind_step_age_and_services(stack: Any) -> None:
    undone_by("restore", of=("db",))
    journal.begin(stack, "restore", "1").reach("swapping")

    [found] = pending(stack)

    assert (found.kind, found.step, found.services) == ("restore", "swapping", ("db",))
    assert 0 <= found.age < 60
    assert found.problem == ""


FAILURES = [
    EngineError("docker refused", hint="start it"),
    OSError(28, "No space left on device", "/some/file"),
    KeyError("volumes"),
]


@pytest.mark.parametrize("failure", FAILURES)
def test_what_cannot_be_undone_blocks_who_needs_the_same(
    stack: Any, failure: Exception
) -> None:
    undone_by("restore", failure, of=("db",))
    journal.begin(stack, "restore", "1")

    for services in (None, ("web", "db")):
        with (
            pytest.raises(ComposeOpsError) as refused,
            exclusive(stack, "invoke up", services=services),
        ):
            pass
        assert refused.value.hint
        assert "\n" not in refused.value.message

    assert pending(stack)


@pytest.mark.parametrize("failure", FAILURES)
def test_what_cannot_be_undone_does_not_block_others(
    stack: Any, failure: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    undone_by("restore", failure, of=("db",))
    journal.begin(stack, "restore", "1")
    ran = []

    for services in (("web",), ()):
        with exclusive(stack, "invoke restart", services=services):
            ran.append(services)

    assert ran == [("web",), ()]
    assert capsys.readouterr().err.count("warning: ") == 2


def test_the_others_are_undone_all_the_same(stack: Any) -> None:
    undone_by("restore", EngineError("docker refused"), of=("db",))
    runs = undone_by("backup")
    journal.begin(stack, "restore", "1")
    journal.begin(stack, "backup", "2")

    with pytest.raises(EngineError):
        recover(stack)

    assert runs == ["2"]
    assert [found.kind for found in pending(stack)] == ["restore"]


def test_leftover_drill_blocks_a_drill_alone(stack: Any) -> None:
    undone_by("drill", EngineError("docker refused"), of=())
    journal.begin(stack, "drill", "1")

    with exclusive(stack, "invoke up"):
        pass
    with pytest.raises(EngineError), exclusive(stack, "invoke drill", kinds=("drill",)):
        pass


def test_skipped_kinds_stay(stack: Any) -> None:
    runs = undone_by("update")
    journal.begin(stack, "update", "1")

    with exclusive(stack, "invoke down", skip=("update",)):
        pass

    assert runs == []
    assert pending(stack)


def test_service_that_is_ill_afterwards_is_no_matter_of_the_next_task(
    stack: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    undone_by("backup", UnhealthyError("db is not healthy"))
    journal.begin(stack, "backup", "1")

    recover(stack)

    assert not pending(stack)
    assert "warning: db is not healthy" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[1,2]", "{", '{"kind": "backup"}'])
def test_damaged_journal_blocks_with_a_way_on(stack: Any, text: str) -> None:
    undone_by("backup")
    (stack.state / "journal").mkdir(parents=True)
    (stack.state / "journal/backup-1.json").write_text(text)

    with pytest.raises(DataError, match="backup-1") as refused:
        recover(stack)

    assert "mv " in refused.value.hint
    assert pending(stack)[0].problem


def test_journal_of_a_kind_that_only_a_newer_version_knows_is_named(stack: Any) -> None:
    journal.begin(stack, "migration", "1")

    with pytest.raises(DataError, match="migration"):
        recover(stack)


def test_what_a_dead_task_was_writing_is_removed(stack: Any) -> None:
    (stack.state / "journal").mkdir(parents=True)
    left = [stack.state / ".a.json.partial", stack.state / "journal/.b.json.partial"]
    for path in left:
        path.touch()

    recover(stack)

    assert not any(path.exists() for path in left)


def test_first_change_moves_the_state_and_opens_the_project_anew(stack: Any) -> None:
    """Compose files of the state have another path from then on."""
    runs = undone_by("backup")
    before = SimpleNamespace(state=stack.root / ".state/engine/trial")
    journal.begin(before, "backup", "1")

    recover(stack)

    assert stack.reloaded == 1
    assert runs == ["1"]
    assert not (stack.root / ".state").exists()


def test_dry_run_undoes_and_moves_nothing(stack: Any) -> None:
    runs = undone_by("backup")
    before = SimpleNamespace(state=stack.root / ".state/engine/trial")
    journal.begin(before, "backup", "1")
    stack.dry = True

    with exclusive(stack, "invoke prune"):
        pass

    assert runs == []
    assert not (stack.root / ".compose-ops").exists()


def test_a_partial_file_that_cannot_be_removed_is_named(
    stack: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody else looks for it; the task goes on."""
    stack.state.mkdir(parents=True)
    partial = stack.state / ".contents.json.partial"
    partial.touch()

    def refuse(_path: Path, **_how: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "unlink", refuse)
    with exclusive(stack, "invoke up"):
        pass

    printed = capsys.readouterr().err
    assert f"warning: {partial} cannot be removed: Operation not permitted" in printed
