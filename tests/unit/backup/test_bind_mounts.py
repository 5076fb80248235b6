"""A folder of the host is data like a volume."""

from pathlib import Path

import pytest
from backup_steps import back_up, bring_back, opened, store
from backup_world import World
from fakes import container

from compose_ops.backup import repository, restore_undo
from compose_ops.docker.api import Mount
from compose_ops.errors import DataError
from compose_ops.library import backups as sets
from compose_ops.runtime.context import StackContext


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of the host with three lines of data."""
    made = tmp_path / "host" / "memo data"
    made.mkdir(parents=True)
    (made / "lines").write_text("line\n" * 3)
    return made


@pytest.fixture
def bound(tmp_path: Path, world: World, folder: Path) -> StackContext:
    """Return a stack whose memo keeps its data in a folder of the host."""
    memo = store("/memo")
    memo["volumes"] = [{"type": "bind", "source": str(folder), "target": "/memo"}]
    world.services["memo"] = memo
    world.there[:] = [c for c in world.there if c.service != "memo"]
    world.up(["memo"])
    return opened(tmp_path, world)


def test_folder_is_kept_restored_and_given_back(
    bound: StackContext, folder: Path
) -> None:
    made = back_up(bound, "memo")
    (folder / "lines").write_text("line\n" * 9)
    (folder / "later").touch()

    assert bring_back(bound, "memo") == made
    assert (folder / "lines").read_text() == "line\n" * 3
    assert not (folder / "later").exists()

    restore_undo.undo(bound, (), yes=True)
    assert (folder / "lines").read_text() == "line\n" * 9
    assert (folder / "later").exists()


def test_manifest_says_that_it_is_a_folder(bound: StackContext, folder: Path) -> None:
    made = back_up(bound, "memo")

    kept = repository.load(bound.root / "backups/trial" / made)
    (archive,) = repository.valid_manifest(kept).stores[0].archives
    assert (archive.kind, archive.key, archive.volume) == (
        "bind",
        "memo.memo",
        str(folder),
    )


def test_folder_that_is_gone_is_made_for_a_restore(
    bound: StackContext, folder: Path
) -> None:
    back_up(bound, "memo")
    (folder / "lines").unlink()
    folder.rmdir()

    bring_back(bound, "memo")

    assert (folder / "lines").read_text() == "line\n" * 3


def test_restore_that_fails_gives_the_folder_back(
    bound: StackContext, world: World, folder: Path
) -> None:
    back_up(bound, "memo")
    (folder / "lines").write_text("line\n" * 9)
    world.sick = lambda service: service == "memo"
    with pytest.raises(Exception, match="memo"):
        bring_back(bound, "memo")

    assert (folder / "lines").read_text() == "line\n" * 9
    assert not list(folder.glob(".compose-ops-restore"))


def test_drill_leaves_the_folder_alone(
    bound: StackContext, world: World, folder: Path
) -> None:
    made = back_up(bound, "memo")
    (folder / "lines").write_text("line\n" * 9)

    done = sets.drill(bound, "backups", set_id=made, identity="")

    assert [store.count for store in done.stores] == [3]
    assert (folder / "lines").read_text() == "line\n" * 9
    assert "trial-drill_memo.memo" not in world.made


@pytest.mark.parametrize(
    ("inside", "refused"), [("", True), ("sub", True), ("..", False)]
)
def test_folder_that_another_container_writes_to_is_refused(
    bound: StackContext, world: World, folder: Path, inside: str, *, refused: bool
) -> None:
    """What mounts a folder above it, such as the whole checkout, is no writer of it."""
    mount = Mount("bind", "", str(folder / inside), "/x", writable=True)
    world.there.append(container("other", id="id-other", mounts=(mount,)))

    if refused:
        with pytest.raises(DataError, match="writes to the folder"):
            back_up(bound, "memo")
    else:
        assert back_up(bound, "memo")


def test_missing_folder_is_no_empty_set(bound: StackContext, folder: Path) -> None:
    (folder / "lines").unlink()
    folder.rmdir()

    with pytest.raises(DataError, match=r"folder .* not found"):
        back_up(bound, "memo")
