"""Killed anywhere, once or twice: the next task puts an update right, in memory."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from composing import UPDATED, opened
from served import SERVED, Served, quick

from compose_ops.errors import Interrupted
from compose_ops.rollout import journal, update
from compose_ops.rollout.update import UpdateRequest

SERVICES = {
    "app": SERVED,
    "gateway": {"image": "gateway"},
    "store": {"image": "store", "deploy": UPDATED},
}
CHANGES = ("up", "start", "stop", "kill", "remove", "connect", "disconnect")
NEW = "sha256:two"
FEWEST = {"app": 30, "store": 10}
"""Boundaries that an update of each passes: its notes, and each change it has made."""


FEW = 9
"""One boundary of so many, where there are two deaths."""


class Killed(BaseException):
    """The end of a process in the middle of something."""


class World:
    """An engine of its own for each death, and what is done on it."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.engine = Served(SERVICES)
        self.root, self.patch = root, patch
        quick(patch, self.engine)
        self.engine.tags["two"] = NEW
        self.engine.known.add(NEW)
        self.root.mkdir()

    def update(self, service: str) -> None:
        request = UpdateRequest(image="two")
        update.update(opened(self.root, self.engine), service, request)

    def noted(self, do: Callable[[], object], at: dict[int, BaseException]) -> int:
        """Do something with what happens at boundaries; return how many it passed."""
        passed = count(1)
        highest = 0

        def reached() -> None:
            nonlocal highest
            highest = next(passed)
            if highest in at:
                raise at[highest]

        with self.patch.context() as patch:
            patch.setattr(journal.Journal, "note", _then(journal.Journal.note, reached))
            for verb in CHANGES:
                patch.setattr(Served, verb, _then(getattr(Served, verb), reached))
            with suppress(Killed, Interrupted, KeyboardInterrupt):
                do()
        return highest

    def assert_put_right(self, service: str, point: object) -> None:
        """Let the next task begin: all that served serves, of one version or both."""
        update.clean_up(opened(self.root, self.engine))
        found = [c for c in self.engine.there if c.service == service]
        assert len(found) == {"app": 2, "store": 1}[service], point
        assert {c.image_id for c in found} <= {f"sha256:{service}-1", NEW}, point
        assert all(c.is_healthy for c in found), point
        assert self.engine.cut == [], point
        assert journal.read(opened(self.root, self.engine).state) is None, point
        if service == "app":
            assert self.engine.served() == {c.id for c in found}, point


def _then(do: Callable[..., Any], reached: Callable[[], None]) -> Callable[..., Any]:
    """Return what does the same, and then says that it was done."""

    def doing(*words: Any, **how: Any) -> Any:
        answer = do(*words, **how)
        reached()
        return answer

    return doing


Make = Callable[[], World]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    numbers = count()
    return lambda: World(tmp_path / str(next(numbers)), monkeypatch)


@pytest.mark.parametrize("service", ["app", "store"])
def test_update_that_is_killed_anywhere_is_put_right(make: Make, service: str) -> None:
    """Neither a container nor a request is lost, and no journal is left."""
    world = make()
    steps = world.noted(partial(world.update, service), {})
    assert steps >= FEWEST[service]

    for step in range(1, steps + 1):
        world = make()
        world.noted(partial(world.update, service), {step: Killed()})
        world.assert_put_right(service, step)


@pytest.mark.parametrize("service", ["app", "store"])
def test_run_that_cleans_up_is_killed_anywhere_and_put_right(
    make: Make, service: str
) -> None:
    """The update died at some boundaries, and what came after it at any."""
    world = make()
    steps = world.noted(partial(world.update, service), {})
    deaths = 0
    for step in range(1, steps + 1, FEW):
        for second in count(1):
            world = make()
            world.noted(partial(world.update, service), {step: Killed()})
            stack = opened(world.root, world.engine)
            passed = world.noted(partial(update.clean_up, stack), {second: Killed()})
            if passed < second:
                break
            world.assert_put_right(service, (step, second))
            deaths += 1
    assert deaths >= steps / FEW


def test_update_that_goes_back_is_killed_anywhere_and_put_right(make: Make) -> None:
    """Ctrl-C came at some boundaries, with or without a new replica."""
    world = make()
    steps = world.noted(partial(world.update, "app"), {})
    for step in range(1, steps + 1, FEW):
        for second in count(step + 1, 3):
            world = make()
            at: dict[int, BaseException] = {step: KeyboardInterrupt(), second: Killed()}
            passed = world.noted(partial(world.update, "app"), at)
            if passed < second:
                break
            world.assert_put_right("app", (step, second))
