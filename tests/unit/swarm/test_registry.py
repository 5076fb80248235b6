"""Where images are pushed: `[swarm] registry` and the variables in it."""

from dataclasses import replace
from pathlib import Path

import pytest
from compose_reading import Reading
from composing import APP, Composing, opened

from compose_ops.config import Config
from compose_ops.config.schema import SwarmTable
from compose_ops.runtime.context import StackContext
from compose_ops.swarm.images import registry_of


@pytest.fixture
def stack(tmp_path: Path) -> StackContext:
    config = Config(folder=tmp_path, swarm=SwarmTable(registry="$REGISTRY/shop"))
    return replace(opened(tmp_path, Composing({"app": APP})), config=config)


def test_a_variable_of_another_one_is_what_compose_makes_of_it(
    stack: StackContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = Reading({"REGISTRY": "lan:5000"})
    monkeypatch.setattr(Composing, "docker", reading.docker)
    stack.variables = {"REGISTRY": "${HOST}:5000", "HOST": "lan"}

    assert registry_of(stack) == "lan:5000/shop"


def test_a_value_of_the_shell_or_the_mode_is_taken_as_it_is(
    stack: StackContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compose interpolates env files alone."""
    monkeypatch.setenv("REGISTRY", "a$b")
    stack.variables = {"REGISTRY": "a$b"}
    assert registry_of(stack) == "a$b/shop"

    stack.mode = replace(stack.mode, environment={"REGISTRY": "mode:5000"})
    assert registry_of(stack) == "mode:5000/shop"
