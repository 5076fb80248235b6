"""A destination that lost its sets is no destination until somebody says so."""

import shutil
from pathlib import Path

import pytest

from compose_ops.backup import destinations, repository
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
