"""A restore is all of the set or none, whatever happens to the stores meanwhile."""

from backup_world import World, back_up, bring_back

from jimbot_stack import journal
from jimbot_stack.stack import Stack


def assert_at_peace(stack: Stack, world: World) -> None:
    """Assert that all services run and no journal is open."""
    assert {c.service: c.state for c in world.there} == dict.fromkeys(
        ["memo", "pair", "reader"], "running"
    )
    assert journal.pending(stack) == ()


def test_set_comes_back_whole(stack: Stack, world: World) -> None:
    made = back_up(stack)
    for volume in ("memo_data", "left_data", "right_data"):
        world.write(volume, 99)

    assert bring_back(stack) == made

    found = [world.lines(v) for v in ("memo_data", "left_data", "right_data")]
    assert found == [3, 5, 7]
    assert_at_peace(stack, world)
