"""The folder of the state, and its move from where the version before had it."""

import subprocess
from pathlib import Path

import pytest

from compose_ops.errors import DataError
from compose_ops.state import folder

ENGINE, PROJECT = "sha256:0123456789abcdef", "trial"
OLD = Path(".state/sha256012345")
NEW = Path(".compose-ops/sha256012345")


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """Return a checkout in which the version before kept state of two projects."""
    for project in ("trial", "other"):
        (tmp_path / OLD / project / "journal").mkdir(parents=True)
        (tmp_path / OLD / project / "deployed.json").write_text("{}")
    (tmp_path / ".state/plugins.json").write_text("{}")
    return tmp_path


def test_folder_of_the_version_before_is_read_where_it_is(before: Path) -> None:
    """A task that only reads moves nothing."""
    assert folder.of(before, ENGINE, PROJECT) == before / OLD / PROJECT
    assert folder.of(before, ENGINE, "new") == before / NEW / "new"
    assert [path.name for path in before.iterdir()] == [".state"]


def test_it_is_moved_once_with_all_that_is_in_it(before: Path) -> None:
    assert folder.prepare(before, ENGINE, PROJECT)

    new = before / NEW / PROJECT
    assert folder.of(before, ENGINE, PROJECT) == new
    assert (new / "deployed.json").read_text() == "{}"
    assert (new / "journal").is_dir()
    assert not folder.prepare(before, ENGINE, PROJECT)


def test_other_project_keeps_its_own_until_its_turn(before: Path) -> None:
    """A task of the version before may be at work there, under another lock."""
    folder.prepare(before, ENGINE, PROJECT)
    assert folder.of(before, ENGINE, "other") == before / OLD / "other"

    assert folder.prepare(before, ENGINE, "other")

    assert [path.name for path in before.iterdir()] == [".compose-ops"]


def test_state_of_both_versions_is_refused_with_a_repair_that_works(
    before: Path,
) -> None:
    """The version before was used after this one: a person says which is right."""
    folder.prepare(before, ENGINE, PROJECT)
    (before / OLD / PROJECT).mkdir(parents=True)

    with pytest.raises(DataError, match="both hold state of trial") as refused:
        folder.prepare(before, ENGINE, PROJECT)

    subprocess.run(refused.value.hint.partition(": ")[2], shell=True, check=True)
    assert not folder.prepare(before, ENGINE, PROJECT)


def test_folder_is_never_part_of_the_checkout(tmp_path: Path) -> None:
    """It brings its own .gitignore: a foreign project need not know of it."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    folder.prepare(tmp_path, ENGINE, PROJECT)
    (tmp_path / NEW / PROJECT / "deployed.json").write_text("{}")

    done = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )

    assert done.stdout == b""
    assert (tmp_path / ".compose-ops").stat().st_mode & 0o077 == 0


def test_folder_that_cannot_be_moved_is_no_traceback(
    before: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: Path, _target: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "rename", refuse)

    with pytest.raises(DataError, match="Read-only file system"):
        folder.prepare(before, ENGINE, PROJECT)
