"""A paused update is half done, and later tasks know which half."""

from collections.abc import Callable
from pathlib import Path

import pytest
from composing import APP, Composing, opened, quick_clock

from compose_ops.doctor import requirements
from compose_ops.errors import Interrupted, RolledBack, UnhealthyError
from compose_ops.rollout import health_gate, update
from compose_ops.rollout.rollback import rollback
from compose_ops.rollout.update import UpdateRequest
from compose_ops.runtime.context import StackContext
from compose_ops.stack.up import up

OLD, NEW = "sha256:app-1", "sha256:app-2"
PAUSING = {"replicas": 2, "update_config": {"monitor": "0s", "failure_action": "pause"}}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Composing:
    """Return an engine on which an update to app:2 paused after one of two slots."""
    return paused(tmp_path, monkeypatch, UnhealthyError("the second is not well"))


def paused(
    root: Path, monkeypatch: pytest.MonkeyPatch, reason: BaseException
) -> Composing:
    monkeypatch.setattr(requirements, "require", lambda *_args, **_how: None)
    monkeypatch.setattr(update, "CLOCK", quick_clock())
    engine = Composing({"app": APP | {"deploy": PAUSING}})
    engine.run_all()
    engine.known.add(NEW)
    engine.tags["app:2"] = NEW
    with monkeypatch.context() as failing:
        failing.setattr(health_gate, "wait_healthy", _fails_at(2, reason))
        with pytest.raises((RolledBack, Interrupted)) as failed:
            update.update(opened(root, engine), "app", UpdateRequest(image="app:2"))
    assert "1 replicas run the new version" in failed.value.message
    assert engine.running("app") == {OLD, NEW}
    return engine


@pytest.mark.parametrize(
    "go_on",
    [up, lambda stack: update.update(stack, "app", UpdateRequest())],
    ids=["up", "rolling-update"],
)
def test_later_tasks_go_on_with_the_rest(
    engine: Composing, tmp_path: Path, go_on: Callable[[StackContext], object]
) -> None:
    """Rather than back with what was done."""
    go_on(opened(tmp_path, engine))

    assert engine.running("app") == {NEW}


def test_a_rollback_takes_it_back(engine: Composing, tmp_path: Path) -> None:
    """The version before is the one that the pause left at work."""
    rollback(opened(tmp_path, engine), "app")

    assert engine.running("app") == {OLD}


def test_ctrl_c_pauses_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its message says what runs."""
    engine = paused(tmp_path, monkeypatch, KeyboardInterrupt())

    up(opened(tmp_path, engine))

    assert engine.running("app") == {NEW}


def _fails_at(turn: int, reason: BaseException) -> Callable[..., None]:
    turns = iter(range(1, 99))

    def wait_healthy(*_args: object, **_how: object) -> None:
        if next(turns) == turn:
            raise reason

    return wait_healthy
