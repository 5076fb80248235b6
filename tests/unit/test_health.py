"""Waiting for health: what counts, what fails at once, when patience ends."""

from dataclasses import replace

import pytest
from fakes import container

from compose_ops.docker.api import Container
from compose_ops.errors import UnhealthyError
from compose_ops.runtime.health import Clock, verdict, wait_until_healthy


class Time:
    """A clock that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def sleep(self, span: float) -> None:
        self.seconds += span

    def clock(self) -> Clock:
        return Clock(now=lambda: self.seconds, sleep=self.sleep)


def wait(
    frames: list[list[Container]], timeout: float = 60, replicas: int = 1
) -> float:
    """Show one frame a look, the last one for ever; return the seconds waited."""
    time = Time()
    looks = iter(frames)
    current = [frames[0]]

    def observe() -> list[Container]:
        current[0] = next(looks, current[0])
        return current[0]

    wait_until_healthy(
        observe,
        expected={"app": replicas},
        timeout=timeout,
        clock=time.clock(),
        report=lambda _containers: None,
    )
    return time.seconds


def test_healthy_service_is_not_waited_for() -> None:
    """A healthy service costs no time."""
    assert wait([[container()]]) == 0


def test_starting_service_is_waited_for() -> None:
    """A service that starts is looked at until it is healthy."""
    starting = container(health="starting")

    assert wait([[], [starting], [starting], [container()]]) > 0


def test_every_replica_is_waited_for() -> None:
    """One that is healthy does not stand for the other."""
    one, other = container(), container(id="second", health="starting")
    healthy = replace(other, health="healthy")

    assert wait([[one], [one, other], [one, healthy]], replicas=2) > 0
    with pytest.raises(UnhealthyError):
        wait([[one, other]], replicas=2)


@pytest.mark.parametrize(
    ("failed", "said"),
    [
        (container(health="unhealthy"), "is unhealthy"),
        (container(state="exited", exit_code=3, health=""), "exit code 3"),
        (container(state="restarting", restart_count=2, health=""), "again and again"),
        (container(oom_killed=True, state="exited", health=""), "memory limit"),
    ],
)
def test_failure_ends_the_wait_at_once(failed: Container, said: str) -> None:
    """What cannot get better any more is not waited for."""
    with pytest.raises(UnhealthyError, match=said):
        wait([[failed]], timeout=1000)


def test_patience_ends() -> None:
    """A service that never gets healthy is named when the time is up."""
    with pytest.raises(UnhealthyError, match=r"app .* after 60 s"):
        wait([[container(health="starting")]])


def test_absent_service_is_named() -> None:
    """A service without any container does not count as healthy."""
    with pytest.raises(UnhealthyError, match="has no container"):
        wait([[]])


def test_unhealthy_is_not_read_as_healthy() -> None:
    """The word unhealthy contains the word healthy."""
    assert verdict(container(health="unhealthy")) == "failed"


def test_container_without_check_is_healthy_while_it_runs() -> None:
    """No health check: running is all that can be asked."""
    assert verdict(container(health="")) == "healthy"


def test_job_is_done_when_it_ended_well() -> None:
    """A service that others wait for with `service_completed_successfully`."""
    ended = container("migrate", state="exited", health="")

    assert verdict(ended, {"migrate"}) == "healthy"
    assert verdict(container("migrate", health=""), {"migrate"}) == "waiting"
    assert verdict(replace(ended, exit_code=1), {"migrate"}) == "failed"
    assert verdict(ended) == "failed"
