"""What is checked before an update's first step."""

from typing import Any

from fakes import container

from jimbot_stack.engine import Usage
from jimbot_stack.errors import EngineError
from jimbot_stack.rollout.readiness import SAMPLES, _use


class Sampled:
    """An engine whose first samples of memory fail."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def containers(self) -> tuple[Any, ...]:
        return (container("app"), container("gone", state="exited"))

    def usage(self, *ids: str) -> tuple[Usage, ...]:
        self.failures -= 1
        if self.failures >= 0:
            raise EngineError("docker refused: EOF")
        return tuple(Usage(i, 0.0, 1, 2) for i in ids)


def test_a_sample_that_fails_is_taken_again() -> None:
    """Another project's container ended meanwhile: no reason to refuse an update."""
    running, usage = _use(Sampled(SAMPLES - 1))  # type: ignore[arg-type]

    assert [c.service for c in running] == ["app"]
    assert [u.container for u in usage] == ["id-app"]


def test_without_a_sample_the_reservations_must_do() -> None:
    """The update goes on with what is known."""
    running, usage = _use(Sampled(SAMPLES))  # type: ignore[arg-type]

    assert len(running) == 1
    assert usage == ()
