"""Which set a restore of everything takes, and what it says of what is missing."""

import pytest
from backup_steps import back_up, bring_back, opened, store
from backup_world import World

from compose_ops.errors import DataError
from compose_ops.library import backups as sets
from compose_ops.runtime.context import StackContext


def test_all_is_restored_from_a_set_of_all(stack: StackContext, world: World) -> None:
    """Not from a newer one that holds a single service."""
    whole = back_up(stack)
    back_up(stack, "memo")
    world.write("left_data", 50)

    assert bring_back(stack) == whole
    assert world.lines("left_data") == 5


@pytest.mark.usefixtures("world")
def test_all_without_a_set_of_all_is_refused(stack: StackContext) -> None:
    back_up(stack, "memo")

    with pytest.raises(DataError, match="no verified set of memo, pair"):
        bring_back(stack)


def test_set_that_is_named_says_what_it_leaves(
    stack: StackContext, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    made = back_up(stack, "memo")
    world.write("memo_data", 50)

    bring_back(stack, set_id=made)

    assert world.lines("memo_data") == 3
    assert f"not in {made}, and left as it is: pair" in capsys.readouterr().err


def test_set_with_a_service_that_nobody_knows_is_refused(
    stack: StackContext, world: World
) -> None:
    """Such as one of an overlay: restored without it, it would be dropped silently."""
    made = back_up(stack)
    world.services["memo"]["labels"].pop("compose-ops.data.volumes")

    now = opened(stack.root, world)
    with pytest.raises(DataError, match="holds memo, not in the compose files"):
        bring_back(now, set_id=made)


def test_drill_of_nothing_is_no_drill(stack: StackContext, world: World) -> None:
    made = back_up(stack, "memo")
    world.services["other"] = store("other_data")
    del world.services["memo"]
    world.services["reader"]["depends_on"] = {}

    now = opened(stack.root, world)
    with pytest.raises(DataError, match="holds no service of the compose files"):
        sets.drill(now, "backups", set_id=made, identity="")
    assert sets.listed(stack, "backups")[0].drilled is None
