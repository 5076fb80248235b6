"""Contents of secrets, configs and single files are part of what is current."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from backup_steps import opened
from backup_world import World
from compose_reading import Reading
from fakes import container

from compose_ops.project import contents as files
from compose_ops.project.model import Model
from compose_ops.rollout.plan import DesiredState, plan
from compose_ops.rollout.policy import Policy
from compose_ops.runtime import contents, current
from compose_ops.runtime.context import StackContext
from compose_ops.state import store

NOW = datetime.now(UTC)
SECRET = "planted-marker-of-a-secret"


@pytest.fixture
def stack(tmp_path: Path) -> StackContext:
    """Return a project whose `app` has a secret, a config and a mounted file."""
    (tmp_path / "volumes").mkdir()
    for name in ("word", "app.conf", "notes"):
        (tmp_path / name).write_text(SECRET)
    mounts = [_bind(tmp_path / "app.conf", read_only=True), _bind(tmp_path / "notes")]
    service = {
        "image": "localhost/app:1",
        "secrets": [{"source": "word"}],
        "configs": [{"source": "greeting"}],
        "volumes": mounts,
    }
    world = World(tmp_path / "volumes", {"app": service, "plain": {"image": "x"}})
    world.further = {
        "secrets": {"word": {"file": str(tmp_path / "word")}},
        "configs": {"greeting": {"content": "hello"}},
    }
    made = opened(tmp_path, world)
    start(made, NOW)
    return made


def _bind(path: Path, **more: Any) -> dict[str, Any]:
    return {"type": "bind", "source": str(path), "target": f"/{path.name}", **more}


def start(stack: StackContext, at: datetime, *, id_: str = "id-app") -> None:
    """Let the containers of app be one that was started then."""
    own = container("app", id=id_, started=at)
    stack.engine.there[:] = [own]  # type: ignore[attr-defined]


def judged(stack: StackContext) -> contents.Judgement:
    [found] = contents.judge(contents.look(stack), stack.refresh()).values()
    return found


def created(stack: StackContext) -> None:
    """Let a task create the container that runs."""
    there = list(stack.engine.there)  # type: ignore[attr-defined]
    stack.everyone = ()
    with contents.remembered(stack):
        stack.engine.there[:] = there  # type: ignore[attr-defined]
    stack.everyone = stack.refresh()


def renew(path: Path, text: str = "another one") -> None:
    """Replace a file as `mv new old` does."""
    (fresh := path.with_name("fresh")).write_text(text)
    fresh.rename(path)


def test_every_replaced_content_is_named(stack: StackContext) -> None:
    created(stack)
    assert judged(stack) == contents.Judgement()

    renew(stack.root / "word")
    (stack.root / "app.conf").write_text("written in place")
    stack.engine.further["configs"]["greeting"]["content"] = "bye"  # type: ignore[attr-defined]
    stack.reload()

    conf = stack.root / "app.conf"
    assert judged(stack).replaced == ("secret word", "config greeting", f"file {conf}")
    assert contents.outdated(contents.look(stack), stack.refresh()).keys() == {"app"}


def test_rotated_variable_behind_a_secret_is_seen(stack: StackContext) -> None:
    """Wherever the project's variables come from, which need not be its `.env`."""
    stack.engine.further["secrets"]["word"] = {"environment": "WORD"}  # type: ignore[attr-defined]
    stack.variables = {"WORD": "one"}
    stack.reload()
    created(stack)
    assert judged(stack) == contents.Judgement()

    stack.variables = {"WORD": "two"}

    assert judged(stack).replaced == ("secret word",)


def test_variable_of_another_variable_is_what_compose_makes_of_it(
    stack: StackContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = Reading({"WORD": "one"})
    monkeypatch.setattr(stack.engine, "docker", reading.docker, raising=False)
    stack.engine.further["secrets"]["word"] = {"environment": "WORD"}  # type: ignore[attr-defined]
    stack.variables = {"WORD": "${OTHER}", "UNUSED": "$$"}
    stack.env_files = (stack.root / "one.env",)
    stack.reload()
    created(stack)
    reading.values = {"WORD": "two"}

    assert judged(stack).replaced == ("secret word",)
    assert str(stack.root / "one.env") in reading.words
    assert reading.asked == {"WORD": "${WORD}"}


def test_file_that_the_service_may_write_is_its_own(stack: StackContext) -> None:
    created(stack)
    renew(stack.root / "notes")

    assert judged(stack) == contents.Judgement()


def test_without_a_record_it_is_unknown_said_once_and_no_reason_to_recreate(
    stack: StackContext, capsys: pytest.CaptureFixture[str]
) -> None:
    renew(stack.root / "word")
    assert judged(stack) == contents.Judgement(is_unknown=True)

    for _ in range(2):
        with contents.remembered(stack) as seen:
            assert contents.outdated(seen, stack.refresh()) == {}

    assert capsys.readouterr().err.count("unknown") == 1
    assert judged(stack).is_unknown
    renew(stack.root / "word", "a third one")
    assert judged(stack).replaced == ("secret word",), "a change from now on is seen"


def test_other_start_has_read_the_file_that_was_there_then(stack: StackContext) -> None:
    """A machine that boots starts its containers without any task."""
    created(stack)
    renew(stack.root / "word")
    start(stack, NOW + timedelta(hours=1))
    assert judged(stack) == contents.Judgement()

    os.utime(stack.root / "word")
    start(stack, NOW - timedelta(hours=1))
    assert judged(stack).replaced == ("secret word",)


def test_link_that_was_turned_after_the_start_is_seen(tmp_path: Path) -> None:
    """As where each deployment has a folder of its own: `current -> v2`."""
    for name in ("v1", "v2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "word").write_text(name)
    link = tmp_path / "current"
    link.symlink_to("v1")
    found = files.Content("secret word", file=link / "word")
    before = found.changed_at()

    (fresh := tmp_path / "fresh").symlink_to("v2")
    fresh.rename(link)

    assert found.changed_at() >= max(before, link.lstat().st_ctime)
    assert found.read() == b"v2"


def test_text_of_a_config_stays_what_the_container_was_created_with(
    stack: StackContext,
) -> None:
    """Compose copies it into the container once: no restart renews it."""
    created(stack)
    stack.engine.further["configs"]["greeting"]["content"] = "bye"  # type: ignore[attr-defined]
    stack.reload()
    with contents.remembered(stack):
        start(stack, NOW + timedelta(hours=1))

    assert judged(stack).replaced == ("config greeting",)


def test_stopped_container_is_recreated_for_a_text_alone(stack: StackContext) -> None:
    """A start reads the files anew; the text stays what the container was made with."""
    created(stack)
    [own] = stack.engine.there  # type: ignore[attr-defined]
    stopped = [replace(own, state="exited", health="")]
    renew(stack.root / "word")
    assert contents.outdated(contents.look(stack), stopped) == {}

    stack.engine.further["configs"]["greeting"]["content"] = "bye"  # type: ignore[attr-defined]
    stack.reload()

    outdated = contents.outdated(contents.look(stack), stopped)
    assert outdated == {"app": "config greeting was replaced"}


def test_what_was_replaced_while_a_task_ran_is_found_by_the_next(
    stack: StackContext,
) -> None:
    with contents.remembered(stack):
        start(stack, NOW + timedelta(seconds=1), id_="id-new")
        renew(stack.root / "word")

    assert judged(stack).replaced == ("secret word",)


def test_task_that_fails_notes_what_it_started(stack: StackContext) -> None:
    def fail() -> None:
        with contents.remembered(stack):
            start(stack, NOW + timedelta(seconds=1), id_="id-new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()

    assert judged(stack) == contents.Judgement()


def test_state_tells_no_secret_and_is_its_owners(stack: StackContext) -> None:
    """The fingerprint is keyed: a plain hash would let a weak one be guessed."""
    from hashlib import sha256

    created(stack)
    file = stack.state / contents.FILE

    text = file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert SECRET not in text
    assert sha256(SECRET.encode()).hexdigest() not in text


@pytest.mark.parametrize(
    "text",
    ["[1, 2]", *(f'{{"schema": 1, "key": "{key}"}}' for key in ("zz", "", "ab"))],
)
def test_damaged_record_is_unknown(stack: StackContext, text: str) -> None:
    """A key that is none, or short enough to be guessed, is damage as well."""
    created(stack)
    store.write(stack.state / contents.FILE, text)
    renew(stack.root / "word")

    assert judged(stack) == contents.Judgement(is_unknown=True)
    created(stack)
    assert judged(stack) == contents.Judgement()
    assert len(contents.look(stack).records.key) == 64


@pytest.mark.parametrize("kind", ["absent", "folder", "pipe", "large", "closed"])
def test_odd_files_are_unknown_and_hang_nothing(
    stack: StackContext, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stack.root / "word"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "large":
        path.write_bytes(b"x" * (files.MAX_BYTES + 1))
    elif kind == "closed":
        monkeypatch.setattr(os, "open", _closing(path))
    if kind == "closed":
        path.write_text(SECRET)
    created(stack)

    assert judged(stack).is_unknown
    assert judged(stack).replaced == ()


def _closing(closed: Path) -> Callable[..., int]:
    """Return os.open as it is where *closed* belongs to another user."""
    real = os.open

    def opening(path: Any, *how: Any, **more: Any) -> int:
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return real(path, *how, **more)

    return opening


def test_files_of_another_machine_are_not_compared(
    stack: StackContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = replace(stack.engine.endpoint(), host="ssh://me@there")
    monkeypatch.setattr(stack.engine, "endpoint", lambda: there)

    assert [*contents.look(stack).contents["app"]] == ["config greeting"]


def test_rolling_update_replaces_for_it() -> None:
    wanted = DesiredState(1, "app:1", "sha256:app", "hash")
    policy = Policy(1, 0.0, "stop-first", 0.0, "", 0.0)
    there = [container("app")]

    made = plan("app", wanted, policy, there, replaced={"id-app": ("secret x",)})

    assert made.lines() == ["replace trial-app: secret x"]
    assert plan("app", wanted, policy, there, replaced={}).is_empty


def test_state_of_a_container_is_compared_with_the_model() -> None:
    """Compose keeps a container that lost its network, and it stays "healthy"."""
    service = {"networks": {"data": None}}
    networks = {"data": {"name": "trial_data"}}
    model = Model({"name": "trial", "services": {"app": service}, "networks": networks})
    there = container("app", networks={"trial_data": "10.0.0.2"})
    lost = replace(there, networks={})
    empty = {"NetworkSettings": {"Networks": {"trial_data": {"EndpointID": ""}}}}
    hashes = {"app": "hash"}

    assert current.lost_networks(model, there, hashes) == []
    assert current.lost_networks(model, lost, hashes) == ["trial_data"]
    assert current.lost_networks(model, replace(there, raw=empty), hashes)
    assert current.lost_networks(model, lost, {"app": "another"}) == []
    assert current.lost_networks(model, replace(lost, state="exited"), hashes) == []
