"""The command that runs once in the new image, before the first replica."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from composing import APP, Composing, opened
from fakes import container

from compose_ops.config import load
from compose_ops.docker.api import ONEOFF_LABEL, Output
from compose_ops.errors import ConfigurationError, UnhealthyError
from compose_ops.rollout import journal, update
from compose_ops.rollout.rollback import rollback
from compose_ops.rollout.update import UpdateRequest

pytestmark = pytest.mark.usefixtures("quick_update")

LABELS = {"compose-ops.rollout.before": "manage migrate --note 'two words'"}
COMMAND = ("manage", "migrate", "--note", "two words")
BUILD = UpdateRequest(build=True)


class Migrating(Composing):
    """An engine that notes each command, and what ran when it was given."""

    def __init__(self, services: Any) -> None:
        super().__init__(services)
        self.ran: list[tuple[str, Sequence[str], list[str]]] = []
        self.code = 0

    def run_service(
        self, service: str, command: Sequence[str], *, name: str, timeout: float
    ) -> Output:
        del name, timeout
        self.ran.append((service, command, sorted(c.id for c in self.there)))
        return Output(self.code, "no such table", "")


@pytest.fixture
def engine() -> Migrating:
    engine = Migrating({"app": {**APP, "labels": LABELS}})
    engine.run_all()
    return engine


def test_it_runs_once_before_anything_else(engine: Migrating, tmp_path: Path) -> None:
    before = sorted(c.id for c in engine.there)

    update.update(opened(tmp_path, engine), "app", BUILD)

    assert engine.ran == [("app", COMMAND, before)]
    assert engine.running("app") == {"sha256:built"}


def test_its_failure_ends_the_update_with_nothing_changed(
    engine: Migrating, tmp_path: Path
) -> None:
    """The name of the image that was built goes back."""
    engine.code = 3
    before, stack = list(engine.there), opened(tmp_path, engine)

    with pytest.raises(UnhealthyError, match="exit code 3") as failed:
        update.update(stack, "app", BUILD)

    assert "no such table" in failed.value.detail
    assert engine.there == before
    assert engine.tags["app"] == "sha256:app-1"
    assert journal.read(stack.state) is None


def test_neither_a_restart_nor_a_rollback_runs_it(
    engine: Migrating, tmp_path: Path
) -> None:
    """Nor does a replica that is missing: nothing is new then."""
    update.update(opened(tmp_path, engine), "app", BUILD)
    engine.ran.clear()

    rollback(opened(tmp_path, engine), "app")
    update.update(opened(tmp_path, engine), "app", UpdateRequest(forced="restart"))
    engine.there.pop()
    update.update(opened(tmp_path, engine), "app", UpdateRequest())

    assert engine.ran == []
    assert len(engine.there) == 2


def test_one_that_a_killed_update_began_is_waited_for(
    engine: Migrating, tmp_path: Path
) -> None:
    """Two migrations at once are worse than none."""
    one_off = {ONEOFF_LABEL: "True"}
    left = container("app", id="left", name="trial-app-before", labels=one_off)
    engine.there.append(left)

    with pytest.raises(ConfigurationError, match="trial-app-before still runs"):
        update.update(opened(tmp_path, engine), "app", BUILD)
    engine.there[-1] = replace(left, state="exited")
    update.update(opened(tmp_path, engine), "app", BUILD)

    assert len(engine.ran) == 1
    assert len(engine.there) == 2


def test_words_of_the_list_stay_apart(tmp_path: Path) -> None:
    """In the label that they become."""
    stated = '[rollout.app]\nbefore = ["manage", "migrate", "--note", "two words"]\n'
    (tmp_path / "compose-ops.toml").write_text(stated)

    assert load(tmp_path).service_settings["app"] == LABELS


def test_quotes_that_do_not_end_are_named(tmp_path: Path) -> None:
    labels = {"compose-ops.rollout.before": "echo 'no end"}
    engine = Migrating({"app": {**APP, "labels": labels}})
    engine.run_all()

    with pytest.raises(ConfigurationError, match="No closing quotation"):
        update.update(opened(tmp_path, engine), "app", BUILD)
