"""While Compose makes a container anew, the one that it stops has not failed."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from fakes import EPOCH, container

from compose_ops.runtime.wait import is_being_replaced


def newer(**changes: Any) -> Any:
    return replace(
        container("app"), id="new", created=EPOCH + timedelta(seconds=9), **changes
    )


def test_stopped_container_with_a_new_one_beside_itis_being_replaced() -> None:
    old = container("app", state="exited")

    assert is_being_replaced(old, [old, newer(state="created")])


def test_failed_container_alone_or_beside_a_replica_is_judged() -> None:
    old = container("app", state="exited")

    assert not is_being_replaced(old, [old])
    assert not is_being_replaced(old, [old, newer(state="running")])
    assert not is_being_replaced(
        old, [old, replace(newer(state="created"), service="lab")]
    )
