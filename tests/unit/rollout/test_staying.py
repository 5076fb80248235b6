"""What was deployed with an image of its own stays, says so, and has a way back."""

from pathlib import Path

import pytest
from composing import APP, Composing, opened

from compose_ops.errors import RolledBack, UsageError
from compose_ops.rollout import health_gate, update
from compose_ops.rollout.rollback import rollback
from compose_ops.rollout.update import UpdateRequest

pytestmark = pytest.mark.usefixtures("quick_update")

BUILD = UpdateRequest(build=True)
READY_MADE = {key: value for key, value in APP.items() if key != "build"}


class Killed(BaseException):
    """The end of a process in the middle of something."""


@pytest.fixture
def engine(tmp_path: Path) -> Composing:
    """Return an engine on which app:2 was deployed, and the files build nothing."""
    engine = Composing({"app": READY_MADE})
    engine.run_all()
    engine.known.add("sha256:app-2")
    engine.tags["app:2"] = "sha256:app-2"
    update.update(opened(tmp_path, engine), "app", UpdateRequest(image="app:2"))
    return engine


def test_a_ready_made_image_has_a_way_back(engine: Composing, tmp_path: Path) -> None:
    """`--build` is what the files name, where they build nothing too."""
    assert engine.running("app") == {"sha256:app-2"}

    update.update(opened(tmp_path, engine), "app", BUILD)

    assert engine.running("app") == {"sha256:app-1"}
    assert opened(tmp_path, engine).model.service("app")["image"] == "app"
    again = update.update(opened(tmp_path, engine), "app", BUILD)
    assert again.result == "nothing-to-do"


def test_a_ready_made_image_that_is_gone_is_pulled(
    engine: Composing, tmp_path: Path
) -> None:
    """The way back does not end where a prune took the image."""
    del engine.tags["app"]

    update.update(opened(tmp_path, engine), "app", BUILD)

    assert engine.running("app") == {"sha256:app-pulled"}


@pytest.mark.parametrize("dry", [True, False])
def test_a_plain_update_says_what_stays(
    engine: Composing, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, dry: bool
) -> None:
    """An image that changed in the files is not deployed, and a line tells why."""
    engine.services = {"app": READY_MADE | {"image": "app:3"}}
    stack = opened(tmp_path, engine)
    stack.dry = dry

    assert update.update(stack, "app", UpdateRequest()).result == "nothing-to-do"
    assert "app stays on app:2" in capsys.readouterr().err


def test_an_image_and_a_build_exclude_each_other(
    engine: Composing, tmp_path: Path
) -> None:
    """Rather than one winning silently."""
    with pytest.raises(UsageError):
        update.update(
            opened(tmp_path, engine), "app", UpdateRequest(image="app:2", build=True)
        )


def test_an_image_that_was_not_deployed_is_not_kept(
    engine: Composing, tmp_path: Path
) -> None:
    """A version that failed leaves no tag, one that is deployed keeps its own."""
    engine.known.add("sha256:app-3")
    engine.tags["app:3"] = "sha256:app-3"
    engine.bad.add("sha256:app-3")
    before = dict(engine.tags)

    with pytest.raises(RolledBack):
        update.update(opened(tmp_path, engine), "app", UpdateRequest(image="app:3"))

    assert engine.tags == before
    assert kept(engine) == {"sha256:app-1", "sha256:app-2"}


def test_an_image_whose_update_was_killed_is_not_kept(
    engine: Composing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task that puts things right sees to it."""
    engine.known.add("sha256:app-3")
    engine.tags["app:3"] = "sha256:app-3"
    with monkeypatch.context() as killing:
        killing.setattr(health_gate, "wait_healthy", _killed)
        with pytest.raises(Killed):
            update.update(opened(tmp_path, engine), "app", UpdateRequest(image="app:3"))
    assert "sha256:app-3" in kept(engine)

    update.update(opened(tmp_path, engine), "app", UpdateRequest())

    assert engine.running("app") == {"sha256:app-2"}
    assert kept(engine) == {"sha256:app-1", "sha256:app-2"}


def test_an_image_that_a_rollback_left_is_not_kept(
    engine: Composing, tmp_path: Path
) -> None:
    """The next rollback goes a step further, so nothing leads back to it."""
    rollback(opened(tmp_path, engine), "app")

    assert engine.running("app") == {"sha256:app-1"}
    assert kept(engine) == {"sha256:app-1"}
    assert engine.tags["app:2"] == "sha256:app-2"


def kept(engine: Composing) -> set[str]:
    return {image for tag, image in engine.tags.items() if ":kept-" in tag}


def _killed(*_args: object, **_how: object) -> None:
    raise Killed
