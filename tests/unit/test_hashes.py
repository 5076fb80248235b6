"""Compose is asked for its hashes once for a model, and anew when anything changed."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from compose_ops.errors import EngineUnavailable
from compose_ops.project.model import Model
from compose_ops.runtime import config_hashes as hashes


@dataclass
class Compose:
    """Counts how often it is asked."""

    asked: int = 0
    answers: bool = True

    def config_hashes(self) -> dict[str, str]:
        self.asked += 1
        if not self.answers:
            raise EngineUnavailable("no client", hint="")
        return {"app": f"hash {self.asked}"}


@dataclass
class Checkout:
    """What `hashes` needs of a stack."""

    state: Path
    engine: Compose = field(default_factory=Compose)
    containers: tuple[()] = ()
    plugins: dict[str, str] = field(default_factory=lambda: {"compose": "2.26.1"})
    model: Model = field(default_factory=lambda: model("one"))


def model(image: str) -> Model:
    return Model({"name": "trial", "services": {"app": {"image": image}}})


@pytest.fixture
def stack(tmp_path: Path) -> Any:
    return Checkout(tmp_path / "state")


def test_remembered_answer_is_not_asked_for_again(stack: Any) -> None:
    hashes.remember(stack)
    hashes.remember(stack)

    assert hashes.of(stack) == {"app": "hash 1"}
    assert stack.engine.asked == 1


def test_looking_remembers_nothing(stack: Any) -> None:
    hashes.of(stack)

    assert not stack.state.exists()


@pytest.mark.parametrize(
    "change", [{"model": model("two")}, {"plugins": {"compose": "2.40.0"}}]
)
def test_another_model_or_compose_is_asked_anew(
    stack: Any, change: dict[str, Any]
) -> None:
    hashes.remember(stack)
    for name, value in change.items():
        setattr(stack, name, value)

    assert hashes.of(stack) == {"app": "hash 2"}


def test_torn_file_is_asked_over(stack: Any) -> None:
    hashes.remember(stack)
    (stack.state / hashes.FILE).write_text('{"model": ')

    assert hashes.of(stack) == {"app": "hash 2"}


def test_a_client_that_fails_does_not_fail_the_task(stack: Any) -> None:
    stack.engine.answers = False
    hashes.remember(stack)

    assert not (stack.state / hashes.FILE).exists()
