"""A set that turns out to be damaged is not relied on any more."""

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from backup_steps import back_up, bring_back
from backup_world import World

from compose_ops.backup import prune, repository
from compose_ops.backup.encryption import one_time_identity
from compose_ops.backup.retention import Rules
from compose_ops.cli.output import backup
from compose_ops.errors import DataError
from compose_ops.library import backups as sets
from compose_ops.runtime.context import StackContext


def rot(stack: StackContext, set_id: str) -> None:
    """Flip a bit in the middle of the memo's archive."""
    (file,) = (stack.root / "backups/trial" / set_id).glob("memo_data.tar.zst*")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)


def verified(stack: StackContext, set_id: str) -> datetime | None:
    return repository.load(stack.root / "backups/trial" / set_id).verified


def verify(stack: StackContext, set_id: str, *, identity: str = "") -> None:
    found = sets.verify(stack, "backups", set_id=set_id, project="", identity=identity)
    backup.refuse_damaged(found)


def _verify(stack: StackContext, set_id: str) -> None:
    verify(stack, set_id)


def _restore(stack: StackContext, set_id: str) -> None:
    bring_back(stack, "memo", set_id=set_id)


def _drill(stack: StackContext, set_id: str) -> None:
    sets.drill(stack, "backups", set_id=set_id, identity="")


@pytest.mark.parametrize("find", [_verify, _restore, _drill])
def test_set_that_is_found_damaged_loses_its_standing(
    stack: StackContext, world: World, find: Callable[[StackContext, str], None]
) -> None:
    """Neither the next restore takes it, nor does prune keep it for a good one."""
    good = back_up(stack, "memo")
    bad = back_up(stack, "memo")
    rot(stack, bad)

    with pytest.raises(DataError):
        find(stack, bad)

    assert verified(stack, bad) is None
    assert bring_back(stack, "memo") == good
    rules = Rules(last=1)
    kept = prune.prune(stack, stack.root / "backups", rules, yes=True)
    assert good not in kept["removed"]
    assert world.lines("memo_data") == 3


@pytest.mark.parametrize("find", [_verify, _restore, _drill])
def test_whole_archive_of_another_set_is_not_believed(
    stack: StackContext, world: World, find: Callable[[StackContext, str], None]
) -> None:
    """Of the same size, readable to its end, and not what this set's backup wrote."""
    sets = []
    for text in ("a\n", "b\n", "c\n"):
        (world.data("memo_data") / "lines").write_text(text)
        for path in (world.data("memo_data") / "lines", world.data("memo_data")):
            os.utime(path, (1_700_000_000, 1_700_000_000))
        sets.append(back_up(stack, "memo"))
    archives = [
        stack.root / "backups/trial" / name / "memo_data.tar.zst" for name in sets
    ]
    assert len({archive.stat().st_size for archive in archives}) == 1
    archives[1].write_bytes(archives[2].read_bytes())

    with pytest.raises(DataError, match="not what was written"):
        find(stack, sets[1])

    assert verified(stack, sets[1]) is None
    assert (world.data("memo_data") / "lines").read_text() == "c\n"


@pytest.mark.usefixtures("world")
def test_wrong_key_says_nothing_of_a_set(stack: StackContext, tmp_path: Path) -> None:
    (_, public), (other, _) = one_time_identity(), one_time_identity()
    made = back_up(stack, "memo", encrypt=[str(public)])
    wrong = tmp_path / "wrong"
    wrong.write_text(f"{other}\n")

    with pytest.raises(DataError, match="cannot be decrypted"):
        verify(stack, made, identity=str(wrong))

    assert verified(stack, made) is not None
    rot(stack, made)
    with pytest.raises(DataError, match="damaged"):
        verify(stack, made)
    assert verified(stack, made) is None
