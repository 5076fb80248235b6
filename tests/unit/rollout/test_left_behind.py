"""What a killed update left is put right by the next task, whichever that is."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from composing import APP, Composing, opened, quick_clock

from compose_ops.doctor import requirements
from compose_ops.rollout import health_gate, journal, update
from compose_ops.rollout.update import UpdateRequest
from compose_ops.runtime.context import StackContext
from compose_ops.stack.rebuild import rebuild
from compose_ops.stack.restart import restart
from compose_ops.stack.up import up
from compose_ops.state import journal as journals
from compose_ops.state import recovery
from compose_ops.state.recovery import exclusive

OLD, NEW = "sha256:app-1", "sha256:built"
SERVED = {
    "labels": {
        "compose-ops.rollout.gateway": "gateway",
        "compose-ops.rollout.network": "front",
        "compose-ops.rollout.port": "8000",
        "compose-ops.rollout.drain": "SIGUSR1",
    }
}


class Killed(BaseException):
    """The end of a process in the middle of something."""


@pytest.fixture
def engine() -> Composing:
    """Return an engine on which two replicas of the app run, and a store."""
    store = {"image": "store", "build": {"context": "."}}
    engine = Composing({"app": APP, "store": store})
    engine.run_all()
    return engine


@pytest.fixture
def half_done(engine: Composing, tmp_path: Path) -> Iterator[None]:
    """Let an update be killed when its second replica is to be proven."""
    with pytest.MonkeyPatch.context() as patch:
        _quick(patch)
        with patch.context() as killing:
            killing.setattr(health_gate, "wait_healthy", _dies_at(2))
            with pytest.raises(Killed):
                update.update(
                    opened(tmp_path, engine), "app", UpdateRequest(build=True)
                )
        assert _count(engine) == 4
        yield


TASKS: dict[str, Callable[[StackContext], object]] = {
    "up": up,
    "restart of another": lambda stack: restart(stack, ["store"]),
    "restart": restart,
    "rebuild of another": lambda stack: rebuild(stack, ["store"]),
    "backup": lambda stack: _nothing(exclusive(stack, "invoke backup")),
}


@pytest.mark.usefixtures("half_done")
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_any_task_that_changes_something_puts_it_right(
    engine: Composing, tmp_path: Path, task: Callable[[StackContext], object]
) -> None:
    """Two replicas run again, and no journal is left."""
    stack = opened(tmp_path, engine)

    task(stack)

    assert _count(engine) == 2
    assert all(c.is_healthy for c in engine.there)
    assert journal.read(stack.state) is None


@pytest.mark.usefixtures("half_done")
@pytest.mark.parametrize("task", [up, restart])
def test_it_is_put_right_where_nothing_rolls(
    engine: Composing, tmp_path: Path, task: Callable[[StackContext], object]
) -> None:
    """A mode without `update_config` has no use for a journal that it keeps."""
    engine.services = {**engine.services, "app": {**APP, "deploy": {"replicas": 2}}}
    stack = opened(tmp_path, engine)

    task(stack)

    assert _count(engine) == 2
    assert journal.read(stack.state) is None


@pytest.mark.usefixtures("half_done")
def test_it_is_put_right_while_the_gateway_is_down(
    engine: Composing, tmp_path: Path
) -> None:
    """Nobody is served then, so nothing is waited for at the gateway."""
    gateway = {"image": "gateway"}
    engine.tags["gateway"] = "sha256:gateway-1"
    engine.services = {**engine.services, "app": {**APP, **SERVED}, "gateway": gateway}
    stack = opened(tmp_path, engine)

    up(stack)

    assert _count(engine) == 2
    assert journal.read(stack.state) is None


@pytest.mark.usefixtures("half_done")
def test_a_service_that_the_mode_lacks_is_not_put_back(
    engine: Composing, tmp_path: Path
) -> None:
    """Its containers go anyway; the tag of its image returns."""
    engine.services = {"store": engine.services["store"]}
    stack = opened(tmp_path, engine, started_as="dev")

    up(stack)

    assert _count(engine) == 0
    assert engine.tags["app"] == OLD
    assert journal.read(stack.state) is None


def test_an_update_puts_right_what_another_task_left(
    engine: Composing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup that died has stopped services: they run again before the update."""
    _quick(monkeypatch)
    undone = []
    monkeypatch.setattr(
        recovery, "_undo", lambda _stack, left: undone.append(left.kind)
    )
    stack = opened(tmp_path, engine)
    journals.begin(stack, "backup", "1")

    update.update(stack, "app", UpdateRequest())

    assert undone == ["backup"]


def _quick(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(requirements, "require", lambda *_args, **_how: None)
    patch.setattr(update, "CLOCK", quick_clock())


def _dies_at(turn: int) -> Callable[..., float]:
    turns = iter(range(1, 99))

    def wait_healthy(*_args: object, **_how: object) -> float:
        if next(turns) == turn:
            raise Killed
        return 0.0

    return wait_healthy


def _count(engine: Composing) -> int:
    return sum(c.service == "app" for c in engine.there)


def _nothing(block: AbstractContextManager[None]) -> None:
    with block:
        pass
