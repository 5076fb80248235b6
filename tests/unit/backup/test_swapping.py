"""Renames that end in the old data or the new, wherever they were cut off."""

from contextlib import suppress
from pathlib import Path

import pytest
from cut_off import Killed, content, die_at, dying_while_removing
from deep_folders import few_calls, nest
from volume_helper import copying, removing, reserved, swapping
from volume_helper.failure import Failed

OLD = {"data": "old", "only-old": "old"}
NEW = {"data": "new", "only-new": "new"}
CHANGES = ("rename", "unlink", "mkdir")


def volume_with_staged(path: Path) -> Path:
    path.mkdir()
    for name, text in OLD.items():
        (path / name).write_text(text)
    staged = swapping.prepare(path, "r-1")
    for name, text in NEW.items():
        (staged / name).write_text(text)
    return path


@pytest.mark.parametrize("step", range(16))
def test_death_while_swapping_in_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    volume = volume_with_staged(tmp_path / "v")
    with monkeypatch.context() as during:
        die_at(during, step, CHANGES)
        with suppress(Killed):
            swapping.swap_in(volume, "r-1")

    swapping.swap_out(volume, "r-1")
    swapping.discard(volume, "r-1")

    assert content(volume) == OLD
    assert {path.name for path in volume.iterdir()} == set(OLD)


@pytest.mark.parametrize("step", range(16))
def test_death_while_swapping_out_is_carried_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Also when the store wrote a file of its own in between."""
    volume = volume_with_staged(tmp_path / "v")
    swapping.swap_in(volume, "r-1")
    (volume / "written-later").write_text("x")
    with monkeypatch.context() as during:
        die_at(during, step, CHANGES)
        with suppress(Killed):
            swapping.swap_out(volume, "r-1")

    swapping.swap_out(volume, "r-1")

    assert content(volume) == OLD


@pytest.mark.parametrize("step", range(1, 9))
def test_store_that_starts_in_the_middle_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """An engine restart may start a store on a half swapped volume; it writes."""
    volume = volume_with_staged(tmp_path / "v")
    with monkeypatch.context() as during:
        die_at(during, step, CHANGES)
        with suppress(Killed):
            swapping.swap_in(volume, "r-1")
    moved_out = not (volume / "data").exists()
    if moved_out:
        (volume / "data").write_text("made by the store")

    swapping.swap_out(volume, "r-1")

    assert content(volume) == OLD


def test_swap_in_can_be_repeated(tmp_path: Path) -> None:
    volume = volume_with_staged(tmp_path / "v")
    swapping.swap_in(volume, "r-1")
    swapping.swap_in(volume, "r-1")

    assert content(volume) == NEW
    assert swapping.commit(volume, "r-1") is True


def test_previous_data_comes_back_and_can_be_given_back(tmp_path: Path) -> None:
    """`--undo` adopts what a restore moved aside; its failure releases it again."""
    volume = volume_with_staged(tmp_path / "v")
    swapping.swap_in(volume, "r-1")
    swapping.commit(volume, "r-1")
    swapping.adopt(volume, "r-2", "r-1")
    swapping.swap_in(volume, "r-2")
    assert content(volume) == OLD

    swapping.swap_out(volume, "r-2")
    swapping.release(volume, "r-2", "r-1")

    assert content(volume) == NEW
    assert swapping.held(volume)["r-1"]["previous"]


def test_restore_into_an_empty_volume_keeps_nothing_aside(tmp_path: Path) -> None:
    volume = tmp_path / "v"
    volume.mkdir()
    (swapping.prepare(volume, "r-1") / "data").write_text("new")
    swapping.swap_in(volume, "r-1")

    assert swapping.commit(volume, "r-1") is False
    assert [path.name for path in volume.iterdir()] == ["data"]


def test_owner_and_mode_of_the_top_come_with_the_data(tmp_path: Path) -> None:
    volume = volume_with_staged(tmp_path / "v")
    volume.chmod(0o755)
    (volume / reserved.HOLDER / "r-1" / "staged").chmod(0o750)
    swapping.swap_in(volume, "r-1")
    assert volume.stat().st_mode & 0o777 == 0o750

    swapping.swap_out(volume, "r-1")

    assert volume.stat().st_mode & 0o777 == 0o755


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a volume in which the version before swapped a restore in."""
    old = b".jimbot-restore"
    monkeypatch.setattr(reserved, "NAMES", frozenset({reserved.NAME, old}))
    monkeypatch.setattr(reserved, "LEFT_OUT", reserved.NAMES | {b"lost+found"})
    volume = volume_with_staged(tmp_path / "v")
    (volume / reserved.HOLDER).rename(volume / ".jimbot-restore")
    swapping.swap_in(volume, "r-1")
    return volume


def test_what_the_version_before_moved_aside_comes_back(before: Path) -> None:
    assert content(before) == NEW

    swapping.adopt(before, "r-2", "r-1")
    swapping.swap_in(before, "r-2")

    assert content(before) == OLD
    assert swapping.held(before)["r-1"]["previous"] is False


def test_interrupted_restore_of_the_version_before_is_undone(before: Path) -> None:
    swapping.swap_out(before, "r-1")
    swapping.discard(before, "r-1")

    assert content(before) == OLD
    assert not (before / ".jimbot-restore").exists()


def test_what_the_version_before_moved_aside_is_no_data(before: Path) -> None:
    """Neither a copy nor its weight nor the look for an empty volume sees it."""
    assert all(b"restore" not in path for path, _ in copying.walk(before))
    for name in content(before):
        (before / name).unlink()

    assert copying.is_empty(before)
    assert "--exclude=./.jimbot-restore" in copying.tar_command((), listed=False)


def test_swap_out_goes_on_where_a_commit_was_lost(tmp_path: Path) -> None:
    """A disk that lost the word of a commit has lost the folder of the staged data."""
    volume = volume_with_staged(tmp_path / "v")
    swapping.swap_in(volume, "r-1")
    swapping.commit(volume, "r-1")

    swapping.swap_out(volume, "r-1")

    assert content(volume) == OLD


@pytest.mark.parametrize("begun", ["staged", "previous"])
def test_folders_are_removed_however_deep_they_are(tmp_path: Path, begun: str) -> None:
    volume = volume_with_staged(tmp_path / "v")
    nest(swapping.place(volume, "r-1") / begun)

    with few_calls():
        swapping.prepare(volume, "r-1")
    nest(swapping.place(volume, "r-1") / begun)
    with few_calls():
        swapping.commit(volume, "r-1")
        swapping.discard(volume, "r-1")

    assert {path.name for path in volume.iterdir()} == set(OLD)


@pytest.fixture
def half_discarded(tmp_path: Path) -> Path:
    """Return a volume of whose previous data a killed helper removed one file."""
    volume = volume_with_staged(tmp_path / "v")
    swapping.swap_in(volume, "r-1")
    swapping.commit(volume, "r-1")
    with dying_while_removing():
        swapping.discard(volume, "r-1")
    return volume


def test_half_of_discarded_data_never_comes_back(half_discarded: Path) -> None:
    with pytest.raises(Failed, match="is gone"):
        swapping.adopt(half_discarded, "r-2", "r-1")
    (left,) = (half_discarded / reserved.HOLDER).glob(".removed-*")
    with pytest.raises(Failed, match="no id of a restore"):
        swapping.adopt(half_discarded, "r-2", left.name)

    assert "r-1" not in swapping.held(half_discarded)
    assert left.name not in swapping.held(half_discarded)
    assert content(half_discarded) == NEW


def test_what_is_half_discarded_is_no_data(half_discarded: Path) -> None:
    paths = {path for path, _ in copying.walk(half_discarded)}

    assert paths == {name.encode() for name in NEW}


def test_removal_that_was_cut_off_is_finished_by_the_next_helper(
    half_discarded: Path,
) -> None:
    swapping.prepare(half_discarded, "r-2")
    assert [p.name for p in (half_discarded / reserved.HOLDER).iterdir()] == ["r-2"]

    swapping.discard(half_discarded, "r-2")
    assert {path.name for path in half_discarded.iterdir()} == set(NEW)


def test_discard_can_be_repeated(half_discarded: Path) -> None:
    swapping.discard(half_discarded, "r-1")

    assert {path.name for path in half_discarded.iterdir()} == set(NEW)


def test_removal_that_fails_is_said_and_hinders_no_restore(
    half_discarded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as of a file that the filesystem keeps."""

    def refuse(_folder: Path) -> None:
        raise Failed("not all could be removed")

    monkeypatch.setattr(removing, "remove", refuse)
    with pytest.raises(Failed, match="not all"):
        swapping.discard(half_discarded, "r-1")

    (swapping.prepare(half_discarded, "r-2") / "data").write_text("newer")
    swapping.swap_in(half_discarded, "r-2")
    assert swapping.commit(half_discarded, "r-2")
    assert content(half_discarded) == {"data": "newer"}
