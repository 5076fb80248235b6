"""Health on a Swarm is judged from tasks and images, never from an exit code."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from compose_ops.docker.api import Engine, Node, Service, Task
from compose_ops.errors import EngineError, RolledBack, UnhealthyError
from compose_ops.runtime.health import Clock
from compose_ops.swarm import convergence
from compose_ops.swarm.convergence import Before, Wanted, same

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = "lan/web@sha256:01", "lan/web@sha256:02"
WEB = Service("S", "shop_web", NEW, {}, 2, NOW)


def task(slot: int, state: str, *, image: str = NEW, error: str = "") -> Task:
    wanted = "shutdown" if state in convergence.FAILED else "running"
    return Task(
        f"{slot}{state}{error}", "S", "N", slot, state, wanted, error, image, NOW
    )


@dataclass
class Manager:
    """A manager whose stack becomes the next of `states` with each look."""

    states: list[tuple[Service | None, list[Task]]]
    refusals: int = 0
    looks: int = field(default=-1)

    def stack_services(self, stack: str) -> tuple[Service, ...]:
        assert stack == "shop"
        if self.refusals:
            self.refusals -= 1
            raise EngineError("The swarm does not have a leader")
        self.looks = min(self.looks + 1, len(self.states) - 1)
        found = self.states[self.looks][0]
        return (found,) if found else ()

    def tasks(self, services: Iterable[str]) -> tuple[Task, ...]:
        return tuple(self.states[self.looks][1]) if list(services) else ()

    def nodes(self) -> tuple[Node, ...]:
        return (Node("N", "node1", "manager", "ready", "active"),)


def wait(manager: Manager, *, before: Before | None = None) -> float:
    """Wait for two healthy tasks; return the seconds that passed."""
    time = [0.0]

    def sleep(seconds: float) -> None:
        time[0] += seconds

    convergence.wait(
        cast("Engine", manager),
        "shop",
        [Wanted("web", NEW, 2)],
        earlier=before or Before(),
        timeout=100,
        clock=Clock(now=lambda: time[0], sleep=sleep),
    )
    return time[0]


HEALTHY: tuple[Service, list[Task]] = (WEB, [task(1, "running"), task(2, "running")])


def test_it_ends_when_all_tasks_run_the_new_image() -> None:
    """A task of the old image, however healthy, does not count."""
    mixed = [task(1, "running"), task(2, "running", image=OLD)]
    assert wait(Manager([(None, []), (WEB, mixed), HEALTHY])) == 2


def test_it_goes_on_while_swarm_updates() -> None:
    """The watch after the last task belongs to the update."""
    updating = replace(WEB, update="updating")
    assert wait(Manager([(updating, HEALTHY[1]), HEALTHY])) == 1


def test_a_rollback_is_an_error_although_all_is_healthy() -> None:
    """Docker says converged and ends with 0; the image says otherwise."""
    back = replace(WEB, image=OLD, update="rollback_completed", update_started=NOW)
    failed = task(1, "failed", error="task: non-zero exit (3)")
    with pytest.raises(RolledBack) as error:
        wait(Manager([(back, [*HEALTHY[1], failed])]))

    assert "exit (3)" in error.value.detail


def test_an_older_rollback_is_nobody_s_business() -> None:
    """What Swarm says of an earlier update is not about this deploy."""
    old = replace(WEB, update="rollback_completed", update_started=NOW)
    before = Before(updates={"shop_web": NOW})

    assert wait(Manager([(old, HEALTHY[1])]), before=before) == 0


def test_another_image_than_deployed_is_named() -> None:
    """Somebody took it back without an update of ours."""
    with pytest.raises(RolledBack, match="sha256:01"):
        wait(Manager([(replace(WEB, image=OLD), [])]))


def test_a_task_without_a_node_is_named_soon() -> None:
    """`max_replicas_per_node` would keep it waiting for ever."""
    homeless = task(2, "pending", error="no suitable node (max replicas per node)")
    with pytest.raises(UnhealthyError) as error:
        wait(Manager([(WEB, [task(1, "running"), homeless])]))

    assert "no suitable node" in error.value.detail


def test_what_fails_again_and_again_ends_the_wait() -> None:
    """A crash loop is not waited for until the time is over."""
    failed = [task(n, "failed", error=f"exit ({n})") for n in (1, 2, 3)]
    with pytest.raises(UnhealthyError, match="again and again"):
        wait(Manager([(WEB, failed)]))


def test_a_loop_in_an_update_is_left_to_swarm() -> None:
    """It will roll back by itself, and that is the verdict."""
    failed = [task(n, "failed", error=f"exit ({n})") for n in (1, 2, 3)]

    assert wait(Manager([(replace(WEB, update="updating"), failed), HEALTHY])) == 1


def test_failures_from_before_do_not_count() -> None:
    """The history of tasks is older than this deploy."""
    failed = [task(n, "failed", error=f"exit ({n})") for n in (1, 2, 3)]
    before = Before(frozenset(one.id for one in failed))

    assert wait(Manager([(WEB, failed), HEALTHY]), before=before) == 1


def test_managers_without_a_leader_are_waited_for() -> None:
    """They elect one within seconds."""
    assert wait(Manager([HEALTHY], refusals=5)) == 5


def test_time_is_limited() -> None:
    """What is still missing is named."""
    with pytest.raises(UnhealthyError) as error:
        wait(Manager([(WEB, [task(1, "running"), task(2, "starting")])]))

    assert "web: 1/2 healthy" in str(error.value)


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("lan/web:1@sha256:01", "lan/web@sha256:01", True),
        ("lan/web:1@sha256:01", "lan/web:1@sha256:02", False),
        ("lan/web:1@sha256:01", "lan/web:1", True),
        ("lan/web:1@sha256:01", "lan/web:2", False),
    ],
)
def test_images_are_the_same_by_digest(one: str, other: str, *, are_same: Any) -> None:
    assert same(one, other) is are_same
