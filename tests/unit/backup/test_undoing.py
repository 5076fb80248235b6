"""What a restore moved aside comes back, or goes, for just the services named."""

from datetime import timedelta
from pathlib import Path

import pytest
from backup_steps import back_up, bring_back
from backup_world import PROJECT, World
from cut_off import dying_while_removing
from volume_helper import removing
from volume_helper.failure import Failed

from compose_ops.backup import restore_points, restore_undo
from compose_ops.errors import DataError
from compose_ops.runtime.context import StackContext
from compose_ops.stack.down import down

VOLUMES = ("memo_data", "left_data", "right_data")


@pytest.fixture
def restored(stack: StackContext, world: World) -> StackContext:
    """Return a stack that was restored as one from a set with fewer lines."""
    back_up(stack)
    for volume in VOLUMES:
        world.write(volume, 90)
    bring_back(stack)
    return stack


def lines(world: World) -> list[int]:
    return [world.lines(volume) for volume in VOLUMES]


def test_undo_brings_everything_back(restored: StackContext, world: World) -> None:
    restore_undo.undo(restored, (), yes=True)

    assert lines(world) == [90, 90, 90]
    restore_undo.undo(restored, (), yes=True)
    assert lines(world) == [3, 5, 7]


def test_undo_of_one_service_leaves_the_others(
    restored: StackContext, world: World
) -> None:
    """And what was moved aside of them can still be brought back."""
    restore_undo.undo(restored, ["memo"], yes=True)

    assert lines(world) == [90, 5, 7]
    restore_undo.undo(restored, ["pair"], yes=True)
    assert lines(world) == [90, 90, 90]


def test_discard_of_one_service_leaves_the_others(
    restored: StackContext, world: World
) -> None:
    restore_undo.discard(restored, ["memo"], yes=True)

    with pytest.raises(DataError, match="no data that a restore moved aside"):
        restore_undo.undo(restored, ["memo"], yes=True)
    restore_undo.undo(restored, (), yes=True)
    assert lines(world) == [3, 90, 90]


def test_discard_leaves_a_service_that_the_model_lacks_now(
    restored: StackContext, world: World
) -> None:
    """Its volumes are nobody's to remove, only because another's are."""
    pair = world.services.pop("pair")
    world.services["reader"]["depends_on"] = {"memo": {}}
    restore_undo.discard(restored, ["memo"], yes=True)
    world.services["pair"] = pair

    restore_undo.undo(restored, ["pair"], yes=True)

    assert lines(world) == [3, 90, 90]


def test_undo_of_services_of_two_restores_is_refused(
    restored: StackContext, world: World
) -> None:
    bring_back(restored, "memo")

    with pytest.raises(DataError, match="moved aside nothing of pair"):
        restore_undo.undo(restored, ["memo", "pair"], yes=True)
    assert lines(world) == [3, 5, 7]


def test_undo_never_makes_a_volume(restored: StackContext, world: World) -> None:
    """Docker would, without labels, and every later backup would refuse it."""
    world.remove("id-memo")
    world.remove_volume("trial_memo_data")

    with pytest.raises(DataError, match="volume trial_memo_data not found"):
        restore_undo.undo(restored, (), yes=True)

    assert world.volume("trial_memo_data") is None
    assert lines_of_pair(world) == [5, 7]


@pytest.mark.parametrize("yes", [True, False])
def test_undo_stops_nothing_where_the_volume_was_made_anew(
    restored: StackContext, world: World, *, yes: bool
) -> None:
    """Nor does it ask whether the present data is to be moved aside."""
    world.remove_volume("trial_memo_data")
    world.create_volume("trial_memo_data", labels={PROJECT: "trial"})
    world.write("memo_data", 1)
    world.done.clear()

    with pytest.raises(DataError, match="moved aside in trial_memo_data is gone"):
        restore_undo.undo(restored, ["memo"], yes=yes)

    assert {words[0] for words in world.done} == {"helper"}
    assert lines(world) == [1, 5, 7]


def lines_of_pair(world: World) -> list[int]:
    return [world.lines(volume) for volume in VOLUMES[1:]]


def test_down_with_volumes_forgets_what_was_in_them(
    restored: StackContext, world: World
) -> None:
    down(restored, volumes=True, yes=True)

    assert restore_points.listed(restored) == ()
    assert world.made == {}


def test_down_without_volumes_forgets_nothing(restored: StackContext) -> None:
    down(restored)

    assert len(restore_points.listed(restored)) == 1


def test_undo_works_after_down(restored: StackContext, world: World) -> None:
    """The containers are made anew; what did not run does not run afterwards."""
    down(restored)

    restore_undo.undo(restored, (), yes=True)

    assert lines(world) == [90, 90, 90]
    assert {c.service: c.state for c in world.there} == {
        "memo": "exited",
        "pair": "exited",
    }


def test_undo_expects_what_was_there_once_the_writers_had_stopped(
    stack: StackContext, world: World
) -> None:
    """One of them may have deleted until then."""
    back_up(stack, "memo")
    world.write("memo_data", 90)
    world.when["stop", "id-reader"] = lambda: world.write("memo_data", 80)
    bring_back(stack, "memo")

    restore_undo.undo(stack, (), yes=True)

    assert world.lines("memo_data") == 80


def test_undo_does_not_take_less_for_what_was_there(
    restored: StackContext, world: World
) -> None:
    """The store must count as much as it did before the restore."""
    (kept,) = world.data("memo_data").glob(".compose-ops-restore/*/previous/lines")
    kept.write_text("line\n")

    with pytest.raises(DataError, match="memo counts 1 after the restore"):
        restore_undo.undo(restored, (), yes=True)

    assert lines(world) == [3, 5, 7]


@pytest.fixture
def half_discarded(restored: StackContext) -> StackContext:
    """Return a stack whose `restore --discard` was killed after one file."""
    with dying_while_removing():
        restore_undo.discard(restored, (), yes=True)
    return restored


def kept(world: World) -> list[Path]:
    return [p for v in VOLUMES for p in world.data(v).glob(".compose-ops-restore")]


def test_what_is_half_discarded_is_not_offered(
    half_discarded: StackContext, world: World
) -> None:
    assert restore_points.listed(half_discarded) == ()
    with pytest.raises(DataError, match="no data that a restore moved aside"):
        restore_undo.undo(half_discarded, (), yes=True)
    assert lines(world) == [3, 5, 7]


def test_discard_goes_on_where_one_was_cut_off(
    half_discarded: StackContext, world: World
) -> None:
    assert len(kept(world)) == 3

    assert restore_undo.discard(half_discarded, (), yes=False) == []

    assert kept(world) == []
    assert lines(world) == [3, 5, 7]


def test_backup_finishes_a_discard_that_was_cut_off(
    half_discarded: StackContext, world: World
) -> None:
    world.remove("id-memo")
    world.remove_volume("trial_memo_data")

    back_up(half_discarded, "pair")

    assert kept(world) == []
    assert lines_of_pair(world) == [5, 7]


def test_backup_is_kept_where_old_data_cannot_be_removed(
    half_discarded: StackContext,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(_folder: Path) -> None:
        raise Failed("not all could be removed")

    monkeypatch.setattr(removing, "remove", refuse)
    with pytest.raises(DataError, match="not all could be removed"):
        restore_undo.discard(half_discarded, (), yes=True)

    assert back_up(half_discarded)
    assert "warning: trial_memo_data: not all could be" in capsys.readouterr().err


def test_half_expired_data_is_not_offered(
    restored: StackContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore_points, "KEPT_FOR", timedelta(0))
    with dying_while_removing():
        back_up(restored)

    assert restore_points.listed(restored) == ()
