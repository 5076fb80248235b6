"""What status says besides the containers: tasks that died."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from backup_steps import opened, two_stores
from backup_world import World
from judging import judge

from compose_ops.backup import data_mounts, restore_points
from compose_ops.backup.restore_points import RestorePoint
from compose_ops.cli.output.stack import print_status
from compose_ops.docker.api import Image
from compose_ops.doctor.facts.leftovers import kept_data
from compose_ops.errors import EngineError
from compose_ops.runtime.context import StackContext
from compose_ops.stack import status
from compose_ops.state import journal, lock


class Idle(World):
    """An engine that knows of no usage, and whose containers have older hashes."""

    def usage(self, *_containers: str) -> tuple[()]:
        return ()

    def config_hashes(self) -> dict[str, str]:
        return {"memo": "another", "pair": "hash"}

    def images(self, _names: Iterable[str]) -> dict[str, Image]:
        return {"localhost/reader:1": Image("sha256:newer", (), 1, {})}


def test_what_is_not_current_is_named_with_its_cause(
    stack: StackContext, capsys: pytest.CaptureFixture[str]
) -> None:
    found = status.services(stack)
    print_status(found)

    causes = {
        entry["service"]: entry["outdated"] for entry in found.as_json()["services"]
    }
    assert causes == {
        "memo": ["created from older files"],
        "pair": [],
        "reader": ["runs an older image"],
    }
    shown = capsys.readouterr().out
    assert "not current: trial-memo: created from older files" in shown


@pytest.fixture
def stack(tmp_path: Path) -> StackContext:
    (tmp_path / "volumes").mkdir()
    return opened(tmp_path, Idle(tmp_path / "volumes", two_stores()))


def test_unfinished_task_is_named_with_its_step(
    stack: StackContext, capsys: pytest.CaptureFixture[str]
) -> None:
    """What stands in its journal is shown as text, whatever it is."""
    book = journal.begin(stack, "restore", "1", services=["memo"])
    book.reach("swap\x1b[31mping\n")

    found = status.services(stack)
    print_status(found)

    [entry] = found.unfinished
    assert (entry["kind"], entry["services"]) == ("restore", ("memo",))
    assert 0 <= entry["age"] < 60
    shown = capsys.readouterr().out
    assert "unfinished: restore" in shown
    assert "'swap?[31mping?'" in shown


def test_task_at_work_is_not_unfinished(
    stack: StackContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o1777)
    monkeypatch.setattr(lock, "FOLDERS", (tmp_path,))
    journal.begin(stack, "restore", "1", services=["memo"])

    with lock.locked(stack.info.id, stack.project, task="invoke restore"):
        assert status.services(stack).unfinished == ()
    assert status.services(stack).unfinished


def test_damaged_list_of_kept_data_does_not_hide_the_services(
    stack: StackContext, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.state.mkdir(parents=True)
    (stack.state / "previous.json").write_text("[1,2]")

    found = status.services(stack)

    assert {entry.service for entry in found.containers} == set(two_stores())
    assert found.previous == ()
    assert "previous.json is damaged" in capsys.readouterr().err


@pytest.fixture
def lost(stack: StackContext) -> StackContext:
    """Return a stack of whose restore a volume was removed since."""
    volumes = ("trial_memo_data", "trial_left_data", "trial_right_data")
    moved = "2026-01-01T00:00:00+00:00"
    entry = RestorePoint("r-1", ("memo", "pair"), volumes, moved, {})
    restore_points.add(stack, entry)
    restore_points.add(stack, replace(entry, restore="r-2", services=("memo",)))
    stack.engine.remove_volume("trial_left_data")
    return stack


def test_data_that_went_with_its_volume_is_not_offered(
    lost: StackContext, capsys: pytest.CaptureFixture[str]
) -> None:
    offered = status.services(lost).previous

    assert [(kept["restore"], kept["services"]) for kept in offered] == [
        ("r-1", ("memo",)),
        ("r-2", ("memo",)),
    ]
    assert "trial_left_data" not in offered[0]["volumes"]
    assert (
        "warning: what the restore r-1 moved aside of pair is gone with trial_left_data"
        in capsys.readouterr().err
    )


def test_nothing_is_offered_where_every_volume_is_gone(lost: StackContext) -> None:
    lost.engine.remove_volume("trial_memo_data")
    lost.engine.remove_volume("trial_right_data")

    assert status.services(lost).previous == ()


def test_doctor_names_data_that_went_with_its_volume(lost: StackContext) -> None:
    lost.engine.remove_volume("trial_memo_data")
    kept = kept_data(lost, lost.info, lost.state)

    row = judge("kept-data", kept_data=kept)

    assert kept.offered == ()
    assert row.outcome == "ok"
    assert "of memo, pair is gone with trial_memo_data" in row.detail


def test_volume_that_cannot_be_asked_about_is_not_called_gone(
    lost: StackContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_words: object) -> bool:
        raise EngineError("no answer")

    monkeypatch.setattr(data_mounts, "exists", refuse)

    assert len(status.services(lost).previous[0]["volumes"]) == 3
