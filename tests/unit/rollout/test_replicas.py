"""Creating replicas beside those that serve."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from fakes import FakeEngine, container

from compose_ops.errors import EngineError
from compose_ops.rollout import steps
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.plan import DesiredState
from compose_ops.runtime.health import Clock

WANTED = DesiredState(2, "trial-app", "sha256:app", "hash")


class Composed(FakeEngine):
    """An engine on which `up` creates what is missing of app and of its store."""

    def up(
        self, services: Sequence[str], *, scale: Mapping[str, int], **how: Any
    ) -> None:
        self.done.append(("up", tuple(services), how))
        there = [c.service for c in self.there]
        wanted = [*["app"] * scale["app"], "store"]
        for service in set(wanted):
            for number in range(there.count(service), wanted.count(service)):
                made = container(service, id=f"{service}-{number}", state="created")
                self.there.append(made)

    def remove(self, *names: str, force: bool = False, volumes: bool = False) -> None:
        del volumes
        super().remove(*names, force=force)
        self.there = [c for c in self.there if c.id not in names]


def site(engine: Composed) -> UpdateContext:
    clock = Clock(now=lambda: 0.0, sleep=lambda _seconds: None)
    made: Any = engine
    return UpdateContext(made, "trial", "app", None, "", "", 1.0, 1.0, clock, made)


def test_new_replicas_carry_the_hash_of_the_whole_configuration() -> None:
    """Compose is told of dependencies, but to start nothing and recreate nothing."""
    engine = Composed([container("app", id="app-0"), container("store", id="store-0")])

    assert steps.create(site(engine), 2, WANTED) == ("app-1", "app-2")
    [(_, services, how)] = engine.done
    assert services == ("app",)
    assert how == {"start": False, "recreate": "never"}


def test_a_dependency_that_was_missing_stays_missing() -> None:
    """An update of one service brings no other one back."""
    engine = Composed([container("app", id="app-0")])

    assert steps.create(site(engine), 1, WANTED) == ("app-1",)
    assert [c.id for c in engine.there] == ["app-0", "app-1"]


def test_fewer_containers_than_asked_for_are_an_error() -> None:
    """Others are at work on the project."""
    engine = Composed([container("app", id="app-0"), container("store", id="store-0")])
    engine.up = lambda *_services, **_how: None  # type: ignore[method-assign]

    with pytest.raises(EngineError):
        steps.create(site(engine), 1, WANTED)


@pytest.mark.parametrize(
    "wanted",
    [
        DesiredState(2, "trial-app", "sha256:other", "hash"),
        DesiredState(2, "trial-app", "sha256:app", "another"),
    ],
)
def test_what_was_created_is_what_was_planned(wanted: DesiredState) -> None:
    """Not what the tag or the files say by then: Compose reads them again."""
    engine = Composed([container("app", id="app-0"), container("store", id="store-0")])

    with pytest.raises(EngineError, match="does not match the plan"):
        steps.create(site(engine), 1, wanted)
