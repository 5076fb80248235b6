"""In which order a batch is replaced."""

from types import SimpleNamespace
from typing import Any

import pytest

from compose_ops.rollout.batch import Batch
from compose_ops.rollout.policy import START_FIRST, STOP_FIRST
from compose_ops.rollout.strategies import strategy


def names(order: str, **update: Any) -> list[str]:
    """Return the steps, those that only wait by what they do."""
    running: Any = SimpleNamespace(
        **{"name": "", "overlaps": True, "point": "", **update}
    )
    steps = strategy(order).steps(Batch(running, [], 0.0))
    return [step.name or step.do.__name__ for step in steps]


def test_start_first_proves_the_new_ones_before_the_old_ones_drain() -> None:
    assert names(START_FIRST) == [
        "create",
        "detach",
        "start",
        "watch before admission",
        "delay",
        "admit",
        "watch after admission",
        "the batch is proven",
        "wait_drained",
        "retire",
    ]


def test_stop_first_starts_nothing_before_the_old_ones_are_stopped() -> None:
    """They may write to the same volume."""
    found = names(STOP_FIRST, name="store")

    assert found[:6] == ["delay", "retire", "wait_drained", "create", "detach", "name"]
    assert found[-1] == "the batch is proven"


@pytest.mark.parametrize(
    ("overlaps", "last"), [(True, "retire"), (False, "wait_drained")]
)
def test_the_next_batch_waits_for_a_drain_where_memory_is_short(
    last: str, *, overlaps: bool
) -> None:
    assert names(START_FIRST, overlaps=overlaps)[-1] == last


def test_a_store_is_copied_while_nothing_of_it_runs() -> None:
    """After the old one stopped, and before there is a new one."""
    found = names(STOP_FIRST, point="20261128T010203-000004")

    assert found[1:5] == ["retire", "wait_drained", "restore point", "create"]
