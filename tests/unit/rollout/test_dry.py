"""A dry run says what an update would do, and changes nothing at all."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from composing import APP, Composing, opened

from compose_ops.docker.api import Mount
from compose_ops.errors import ConfigurationError, EngineError
from compose_ops.rollout import update
from compose_ops.rollout.result import UpdateResult
from compose_ops.rollout.update import UpdateRequest

pytestmark = pytest.mark.usefixtures("quick_update")

START_FIRST = {"update_config": {"order": "start-first", "monitor": "0s"}}
TOO_MUCH = {"resources": {"reservations": {"memory": 2**40}}}


@pytest.fixture
def engine() -> Composing:
    """Return an engine on which the app runs, and an image of another version."""
    engine = Composing({"app": APP})
    engine.run_all()
    engine.known.add("sha256:app-2")
    engine.tags["app:2"] = "sha256:app-2"
    return engine


def dry(engine: Composing, root: Path, wish: UpdateRequest) -> UpdateResult:
    stack = opened(root, engine)
    stack.dry = True
    before = list(engine.there), dict(engine.tags), list(engine.done)
    try:
        return update.update(stack, "app", wish)
    finally:
        assert (engine.there, engine.tags, engine.done) == before


def causes(outcome: UpdateResult) -> list[tuple[str, ...]]:
    return [slot.causes for slot in outcome.plan.changing]


def test_what_would_change_is_planned_with_its_cause(
    engine: Composing, tmp_path: Path
) -> None:
    """Another image needs another configuration too: it is deployed under a tag."""
    outcome = dry(engine, tmp_path, UpdateRequest(image="app:2"))

    assert outcome.result == "planned"
    assert [[cause.split()[0] for cause in each] for each in causes(outcome)] == [
        ["image", "configuration"]
    ] * 2


def test_what_is_deployed_already_is_nothing_to_do(
    engine: Composing, tmp_path: Path
) -> None:
    """By the name that it was given with."""
    update.update(opened(tmp_path, engine), "app", UpdateRequest(image="app:2"))

    outcome = dry(engine, tmp_path, UpdateRequest(image="app:2"))

    assert outcome.result == "nothing-to-do"
    assert causes(outcome) == []


@pytest.mark.parametrize("as_dry", [True, False])
@pytest.mark.parametrize(
    ("described", "reason"),
    [
        ({"container_name": "app"}, "name app is fixed"),
        ({"deploy": START_FIRST | TOO_MUCH}, "of memory"),
    ],
)
def test_start_first_that_cannot_work_is_refused(
    engine: Composing,
    tmp_path: Path,
    described: dict[str, Any],
    reason: str,
    *,
    as_dry: bool,
) -> None:
    """With the reason, before anything is touched, whether it is dry or not."""
    engine.services = {"app": {"image": "app", "deploy": START_FIRST} | described}
    before = list(engine.there)
    stack = opened(tmp_path, engine)
    stack.dry = as_dry

    with pytest.raises(ConfigurationError, match="start-first") as refused:
        update.update(stack, "app", UpdateRequest())

    assert reason in refused.value.message
    assert engine.there == before


def test_an_image_that_would_be_pulled_is_planned(
    engine: Composing, tmp_path: Path
) -> None:
    """Its id is not known before; every replica would be replaced."""
    engine.in_registry.add("registry/app:3")

    outcome = dry(engine, tmp_path, UpdateRequest(image="registry/app:3"))

    assert outcome.result == "planned"
    assert (
        causes(outcome) == [("image registry/app:3, which would be pulled first",)] * 2
    )


def test_an_image_that_is_nowhere_is_refused(engine: Composing, tmp_path: Path) -> None:
    """As the update itself would refuse it."""
    with pytest.raises(EngineError, match="cannot be pulled"):
        dry(engine, tmp_path, UpdateRequest(image="registry/app:3"))


def test_a_dry_build_names_the_build(
    engine: Composing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its result is not known before."""
    assert dry(engine, tmp_path, UpdateRequest(build=True)).result == "nothing-to-do"
    assert "would build app" in capsys.readouterr().err


def test_replica_with_an_anonymous_volume_is_not_updated(
    engine: Composing, tmp_path: Path
) -> None:
    """The new one would begin with an empty volume, and nobody would say so."""
    mount = Mount("volume", "ab" * 32, "", "/data", True)  # noqa: FBT003
    engine.there[:] = [replace(c, mounts=(mount,)) for c in engine.there]

    with pytest.raises(ConfigurationError, match="anonymous volume at /data"):
        dry(engine, tmp_path, UpdateRequest(image="app:2"))
