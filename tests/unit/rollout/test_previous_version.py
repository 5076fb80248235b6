"""An update that the version before was killed in, and the images it deployed."""

import json
import shutil
from pathlib import Path

import pytest
from composing import APP, Composing, opened
from fakes import container

from compose_ops.doctor.facts.state import damaged_state
from compose_ops.rollout import deployments, journal, rollback
from compose_ops.runtime import stale_images
from compose_ops.state import recovery

LEFT = Path(__file__).parents[2] / "fixtures/previous-version"
IMAGES = ("app-1", "app-2", "app-3", "built")

pytestmark = pytest.mark.usefixtures("quick_update")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Composing:
    """Return the engine that the version before was used with."""
    store = {"image": "store", "build": {"context": "."}}
    made = Composing({"app": APP, "store": store})
    monkeypatch.setattr(made, "_id", "0123456789abcdef")
    made.known |= {f"sha256:{name}" for name in IMAGES}
    made.tags |= {f"localhost/trial-app:kept-{n}": f"sha256:{n}" for n in IMAGES}
    return made


def put(case: str, root: Path, engine: Composing) -> None:
    """Put a case in place, and its containers on the engine."""
    shutil.copytree(LEFT / case, root, dirs_exist_ok=True)
    for entry in json.loads((root / "containers.json").read_text()):
        health = "healthy" if entry["state"] == "running" else ""
        engine.there.append(container(**entry, health=health))


def test_killed_update_is_put_right(engine: Composing, tmp_path: Path) -> None:
    """The proven half of it stays, the other half goes back; and no journal is left."""
    put("update", tmp_path, engine)
    stack = opened(tmp_path, engine)
    [found] = recovery.pending(stack)
    assert (found.kind, found.step, found.services) == ("update", "start", ("app",))

    recovery.recover(stack)

    assert sum(c.service == "app" and c.is_running for c in engine.there) == 2
    assert not recovery.pending(stack)
    assert journal.read(stack.state) is None
    assert not (tmp_path / ".state").exists()


def test_what_was_deployed_stays_and_can_be_gone_back_from(
    engine: Composing, tmp_path: Path
) -> None:
    put("deployed", tmp_path, engine)
    stack = opened(tmp_path, engine)
    assert deployments.read(stack.state).of("app").name == "app:2"

    rollback.rollback(stack, "app")

    assert engine.running("app") == {"sha256:app-1"}
    assert json.loads((stack.state / deployments.FILE).read_text())["schema"] == 1
    assert stack.state == tmp_path / ".compose-ops/0123456789ab/trial"


def test_project_is_opened_with_the_files_where_they_were_moved_to(
    engine: Composing, tmp_path: Path
) -> None:
    """Compose reads what is deployed from the folder of the state at each step."""
    put("deployed", tmp_path, engine)
    stack = opened(tmp_path, engine)

    recovery.recover(stack)

    image = stack.engine.model()["services"]["app"]["image"]
    assert image == "localhost/trial-app:kept-app-2"


def test_image_that_it_built_is_not_built_again(
    engine: Composing, tmp_path: Path
) -> None:
    put("deployed", tmp_path, engine)
    engine.tags["store"] = "sha256:built"
    stack = opened(tmp_path, engine)

    assert stale_images.stale(stack, ["store"]) == []


def test_doctor_names_what_is_damaged_alone(engine: Composing, tmp_path: Path) -> None:
    put("update", tmp_path, engine)
    stack = opened(tmp_path, engine)

    assert damaged_state(stack, stack.state) == ()

    (stack.state / deployments.FILE).write_text("[1,2]")

    [found] = damaged_state(stack, stack.state)
    assert found.path == stack.state / deployments.FILE
    assert "is damaged" in found.problem
