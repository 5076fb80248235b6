"""A copy of a volume beside its data, and the way back, wherever it was cut off."""

from contextlib import suppress
from pathlib import Path

import pytest
from cut_off import Killed, content, die_at, dying_while_removing
from deep_folders import LEVELS, few_calls, nest
from volume_helper import copying, points, swapping
from volume_helper.failure import Failed

OLD = {"data": "old", "only-old": "old"}
NEW = {"data": "new", "only-new": "new"}
STEPS = 14
CHANGES = ("rename", "unlink", "mkdir", "rmdir")


def fill(volume: Path, files: dict[str, str]) -> None:
    for path in (p for p in volume.iterdir() if p.is_file()):
        path.unlink()
    for name, text in files.items():
        (volume / name).write_text(text)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Return a volume whose data was spoiled after it was copied."""
    fill(tmp_path, OLD)
    points.keep(tmp_path, "p-1")
    fill(tmp_path, NEW)
    return tmp_path


def test_data_comes_back_and_nothing_is_left(volume: Path) -> None:
    points.bring_back(volume, "p-1")

    assert content(volume) == OLD
    assert {path.name for path in volume.iterdir()} == set(OLD)


@pytest.mark.parametrize("step", range(STEPS))
def test_death_on_the_way_back_is_carried_on(
    volume: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    with monkeypatch.context() as during:
        die_at(during, step, CHANGES)
        with suppress(Killed):
            points.bring_back(volume, "p-1")

    points.bring_back(volume, "p-1")
    points.bring_back(volume, "p-1")

    assert content(volume) == OLD
    assert {path.name for path in volume.iterdir()} == set(OLD)


@pytest.mark.parametrize("step", range(6))
def test_death_while_copying_leaves_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    fill(tmp_path, OLD)
    with monkeypatch.context() as during:
        die_at(during, step, CHANGES)
        with suppress(Killed):
            points.keep(tmp_path, "p-1")

    assert content(tmp_path) == OLD
    points.keep(tmp_path, "p-1")
    swapping.discard(tmp_path, "p-1")
    assert {path.name for path in tmp_path.iterdir()} == set(OLD)


def test_a_restore_brings_the_copy_back_too(volume: Path) -> None:
    """As it does with what an earlier restore moved aside."""
    swapping.adopt(volume, "r-2", "p-1")
    swapping.swap_in(volume, "r-2")

    assert content(volume) == OLD


def test_a_copy_that_is_not_the_same_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something wrote to the data meanwhile."""
    fill(tmp_path, OLD)
    sizes = iter([[(b"data", 3)], [(b"data", 4)]])
    monkeypatch.setattr(points, "_listed", lambda _folder: next(sizes))

    with pytest.raises(Failed, match="changed while it was copied"):
        points.keep(tmp_path, "p-1")

    assert {path.name for path in tmp_path.iterdir()} == set(OLD)


def test_an_estimate_changes_nothing(tmp_path: Path) -> None:
    fill(tmp_path, OLD)
    (tmp_path / "large").write_bytes(b"x" * 300_000)

    found = points.estimate(tmp_path)

    assert found["bytes"] == copying.occupied(tmp_path)
    assert found["files"] == 3
    assert found["rate"] > 0
    assert {path.name for path in tmp_path.iterdir()} == {*OLD, "large"}


def test_an_empty_store_can_be_copied(tmp_path: Path) -> None:
    points.estimate(tmp_path)
    points.keep(tmp_path, "p-1")
    fill(tmp_path, NEW)

    points.bring_back(tmp_path, "p-1")

    assert content(tmp_path) == {}


def test_deep_folders_are_copied_and_brought_back(tmp_path: Path) -> None:
    volume = tmp_path / "v"
    nest(volume / "deep")
    with few_calls():
        points.keep(volume, "p-1")
        points.keep(volume, "p-1")
        (volume / "deep").rename(volume / "new")
        points.bring_back(volume, "p-1")
        found = points.estimate(volume)["files"]

    assert [path.name for path in volume.iterdir()] == ["deep"]
    assert found == LEVELS + 2


def test_half_of_an_older_copy_is_never_brought_back(
    volume: Path,
) -> None:
    """The helper was killed while it removed the older copy to make a newer one."""
    with dying_while_removing():
        points.keep(volume, "p-1")

    with suppress(Failed):
        points.bring_back(volume, "p-1")

    assert content(volume) == NEW


def test_what_the_new_version_made_is_no_restore_point(
    volume: Path,
) -> None:
    """The helper was killed while it removed that, after the copy came back."""
    with dying_while_removing():
        points.bring_back(volume, "p-1")

    assert content(volume) == OLD
    assert swapping.held(volume) == {}
    points.bring_back(volume, "p-1")
    assert {path.name for path in volume.iterdir()} == set(OLD)
