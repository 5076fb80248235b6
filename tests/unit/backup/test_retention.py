"""What prune keeps: for each service by the rules, and what it never removes."""

from datetime import UTC, datetime, timedelta

from backup_steps import back_up, bring_back
from backup_world import World

from compose_ops.backup import prune
from compose_ops.backup.retention import Candidate, Rules, reasons
from compose_ops.runtime.context import StackContext

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ALL = frozenset({"memgraph", "questdb", "eventstore"})


def day(number: int, *services: str, verified: bool = True) -> Candidate:
    """Return a set that was made *number* days ago; of all services when empty."""
    return Candidate(
        f"{number:02d}",
        NOW - timedelta(days=number),
        verified,
        frozenset(services) or ALL,
    )


def test_daily_sets_of_one_service_never_push_out_the_others() -> None:
    """A weekly set of all beside daily ones of Memgraph, the last seven kept."""
    weekly = [day(number) for number in (8, 15, 22)]
    daily = [day(number, "memgraph") for number in range(8)]

    found = reasons([*daily, *weekly], Rules(last=7), now=NOW)

    assert {c.id for c in weekly} <= set(found)
    assert "07" not in found


def test_newest_verified_set_of_each_service_stays() -> None:
    sets = [day(1, "memgraph"), day(2, "questdb"), day(3, "questdb"), day(4)]

    found = reasons(sets, Rules(last=1), now=NOW)

    assert found == {
        "01": "the newest verified set of memgraph",
        "02": "the newest verified set of questdb",
        "04": "the newest verified set of eventstore",
    }


def test_set_that_alone_holds_a_service_stays_even_unverified() -> None:
    sets = [day(1, "memgraph"), day(2, verified=False)]

    assert set(reasons(sets, Rules(last=1), now=NOW)) == {"01", "02"}


def test_prune_removes_what_no_rule_keeps(stack: StackContext, world: World) -> None:
    whole = back_up(stack)
    early, late = back_up(stack, "memo"), back_up(stack, "memo")
    place = stack.root / "backups"

    pruned = prune.prune(stack, place, Rules(last=1), yes=True)

    assert pruned["removed"] == [early]
    assert {path.name for path in (place / "trial").iterdir()} == {whole, late}
    assert bring_back(stack, "pair") == whole
    assert world.lines("right_data") == 7
