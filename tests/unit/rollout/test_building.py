"""An update that builds first: the tag of the image is part of what goes back."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from composing import APP, Composing, opened

from compose_ops.docker.api import Mount
from compose_ops.errors import ComposeOpsError, ConfigurationError, RolledBack
from compose_ops.rollout import journal, prepare, update
from compose_ops.rollout.rollback import rollback
from compose_ops.rollout.update import UpdateRequest
from compose_ops.runtime.context import StackContext
from compose_ops.stack.down import down
from compose_ops.stack.rebuild import rebuild
from compose_ops.stack.up import up

pytestmark = pytest.mark.usefixtures("quick_update")

OLD, NEW = "sha256:app-1", "sha256:built"
BUILD = UpdateRequest(build=True)


class Killed(BaseException):
    """The end of a process in the middle of something."""


@pytest.fixture
def engine() -> Composing:
    """Return an engine on which two replicas of the app run."""
    engine = Composing({"app": APP})
    engine.run_all()
    return engine


@pytest.fixture
def stack(engine: Composing, tmp_path: Path) -> StackContext:
    return opened(tmp_path, engine)


def test_a_good_build_is_deployed(engine: Composing, stack: StackContext) -> None:
    """Both replicas run it, and the tag stays with it."""
    outcome = update.update(stack, "app", BUILD)

    assert outcome.result == "updated"
    assert engine.running("app") == {NEW}
    assert engine.tags["app"] == NEW
    assert journal.read(stack.state) is None


def test_a_refused_build_says_how_it_is_had(
    engine: Composing, stack: StackContext, capsys: pytest.CaptureFixture[str]
) -> None:
    """Compose typed by hand starts the image before, which nobody would expect."""
    anonymous = Mount("volume", "a" * 64, "", "/data", writable=True)
    engine.there[:] = [replace(c, mounts=(anonymous,)) for c in engine.there]

    with pytest.raises(ConfigurationError, match="anonymous volume"):
        update.update(stack, "app", BUILD)

    assert engine.tags["app"] == OLD
    assert "--image built deploys the one that was made" in capsys.readouterr().err


ROUTES: dict[str, Callable[[StackContext], object]] = {
    "rolling-update --build": lambda stack: update.update(stack, "app", BUILD),
    "rebuild": lambda stack: rebuild(stack, ["app"]),
    "up --build": lambda stack: up(stack, build=True),
}


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_a_bad_build_gives_the_tag_back(
    engine: Composing, stack: StackContext, route: Callable[[StackContext], object]
) -> None:
    """Later tasks, and a start from nothing, do not meet the bad image again."""
    before = [c.id for c in engine.there]
    engine.bad.add(NEW)

    with pytest.raises(RolledBack):
        route(stack)

    assert [c.id for c in engine.there] == before
    assert engine.running("app") == {OLD}
    assert engine.tags["app"] == OLD
    assert journal.read(stack.state) is None


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_a_good_build_stays(
    engine: Composing, stack: StackContext, route: Callable[[StackContext], object]
) -> None:
    """The same tasks leave the tag with an image that was proven."""
    route(stack)

    assert engine.running("app") == {NEW}
    assert engine.tags["app"] == NEW


def test_a_refused_update_gives_the_tag_back(engine: Composing, tmp_path: Path) -> None:
    """What cannot be updated as asked is refused after its build."""
    deploy = {"replicas": 1, "update_config": {"order": "start-first"}}
    engine.services = {"app": APP | {"deploy": deploy, "container_name": "app"}}

    with pytest.raises(ConfigurationError):
        update.update(opened(tmp_path, engine), "app", BUILD)

    assert engine.tags["app"] == OLD


@pytest.mark.parametrize(
    "next_task",
    [
        lambda stack: update.update(stack, "app", UpdateRequest()),
        up,
        down,
    ],
    ids=["rolling-update", "up", "down"],
)
def test_a_kill_after_the_build_gives_the_tag_back(
    engine: Composing,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    next_task: Callable[[StackContext], object],
) -> None:
    """The next task does, before it looks at anything."""
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "plan", _killed)
        with pytest.raises(Killed):
            update.update(opened(tmp_path, engine), "app", BUILD)
    assert engine.tags["app"] == NEW

    next_task(opened(tmp_path, engine))

    assert engine.tags["app"] == OLD
    assert engine.running("app") <= {OLD}


def test_a_build_leads_from_a_deployed_image_to_the_files(
    engine: Composing, tmp_path: Path
) -> None:
    """A rollback stays deployed until `--build`, which later tasks then follow."""
    update.update(opened(tmp_path, engine), "app", BUILD)
    rollback(opened(tmp_path, engine), "app")
    assert engine.running("app") == {OLD}
    assert "kept-" in str(opened(tmp_path, engine).model.service("app")["image"])

    update.update(opened(tmp_path, engine), "app", BUILD)

    assert engine.running("app") == {NEW}
    assert opened(tmp_path, engine).model.service("app")["image"] == "app"
    assert update.update(opened(tmp_path, engine), "app", UpdateRequest()).result == (
        "nothing-to-do"
    )


def _killed(*_args: object, **_how: object) -> ComposeOpsError:
    raise Killed
