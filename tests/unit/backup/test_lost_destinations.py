"""A destination that lost its sets is no destination until somebody says so."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from compose_ops.backup import addresses, destinations, repository
from compose_ops.backup.addresses import RepositoryAddress
from compose_ops.backup.restic_destination import ResticDestination
from compose_ops.backup.retention import Rules
from compose_ops.errors import DataError
from compose_ops.library import backups as sets
from compose_ops.runtime.context import StackContext


def test_destination_that_is_not_mounted_today_is_refused(
    stack: StackContext, tmp_path: Path
) -> None:
    """The set would lie on the root disk, and everybody would think it safe."""
    disk = tmp_path / "disk"
    for _ in range(2):
        sets.backup(stack, disk, everything=True)
    shutil.rmtree(disk)
    disk.mkdir()

    with pytest.raises(DataError, match="-0002, and holds no set") as refused:
        sets.backup(stack, disk, everything=True)
    assert "--new-destination" in refused.value.hint
    assert not list(disk.iterdir())

    assert sets.backup(stack, disk, everything=True, new_destination=True)
    assert sets.backup(stack, disk, everything=True), "it is known again"


def test_own_folder_of_sets_counts_too(stack: StackContext) -> None:
    sets.backup(stack, everything=True)
    shutil.rmtree(stack.backups)

    with pytest.raises(DataError, match="holds no set"):
        sets.backup(stack, everything=True)


def test_one_set_that_is_left_is_enough(stack: StackContext) -> None:
    for _ in range(2):
        sets.backup(stack, everything=True)
    newest, _ = repository.listed(stack.backups, stack.project)
    shutil.rmtree(newest.path)

    assert sets.backup(stack, everything=True)


def test_destination_of_the_version_before_counts(
    stack: StackContext, tmp_path: Path
) -> None:
    """It remembered folders alone."""
    known = destinations.Destinations((str(tmp_path / "disk"),))
    destinations.STATE_FILE.save(stack.state, known)

    with pytest.raises(DataError, match="held sets"):
        sets.backup(stack, tmp_path / "disk", everything=True)


def _verify(stack: StackContext, dest: Path) -> None:
    sets.verify(stack, dest)


def _prune(stack: StackContext, dest: Path) -> None:
    sets.prune(stack, dest, rules=Rules(last=1), yes=True)


@pytest.mark.parametrize("task", [_verify, _prune])
def test_lost_sets_are_no_success(
    stack: StackContext, tmp_path: Path, task: Callable[[StackContext, Path], None]
) -> None:
    """A timer that runs it every night would say for ever that all is well."""
    disk = tmp_path / "disk"
    sets.backup(stack, disk, everything=True)
    task(stack, disk)
    shutil.rmtree(disk)

    with pytest.raises(DataError, match="-0001, and holds no set of trial") as refused:
        task(stack, disk)
    assert refused.value.exit_code == 7


@pytest.mark.parametrize("task", [_verify, _prune])
def test_sets_that_were_forgotten_in_a_repository_are_no_success(
    stack: StackContext,
    monkeypatch: pytest.MonkeyPatch,
    task: Callable[[StackContext, str], None],
) -> None:
    near = RepositoryAddress("near", "", stack.root, stack.root / "password")
    monkeypatch.setattr(addresses, "place", lambda *_: near)
    monkeypatch.setattr(ResticDestination, "listed", lambda *_: [])
    destinations.remember(stack.backups, stack.state, near, "20261128T012315Z-0001")

    with pytest.raises(DataError, match=r"near held the set .*-0001, and holds no set"):
        task(stack, "near")


@pytest.mark.parametrize("task", [_verify, _prune])
def test_destination_that_never_had_a_set_is_named(
    stack: StackContext,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    task: Callable[[StackContext, Path], None],
) -> None:
    task(stack, tmp_path / "disk")

    assert f"there is no set of trial in {tmp_path}/disk" in capsys.readouterr().err
