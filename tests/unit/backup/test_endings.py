"""How a store ended is remembered by `down`: its data is not called crash then."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from backup_steps import back_up
from backup_world import World

from compose_ops.backup import endings, repository
from compose_ops.docker.api import EngineInfo, Output
from compose_ops.runtime.context import StackContext
from compose_ops.stack import down

NOW = time.time()


@pytest.fixture
def gone(
    stack: StackContext, world: World, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Return what lets `down` end memo, as events say it; other stores cleanly."""
    raw = {"SystemTime": "2026-01-01T00:00:00.123456789Z"}
    info = EngineInfo("ENGINE", "26.1.5", 2, 0, (), raw, seen=(NOW, NOW))
    stack.known = info
    world.write("memo_data", 3)
    monkeypatch.setattr(stack.collaborators.rollout, "all_removed", lambda _stack: None)

    def end(**memo: Any) -> None:
        said = [_die(c.id, c.service, 0) for c in world.there if c.service != "memo"]
        if memo.get("oom"):
            said.append(json.dumps({"Action": "oom", "id": "id-memo"}))
        if "code" in memo:
            said.append(_die("id-memo", "memo", memo["code"]))
        world.docker = lambda *_, **__: Output(0, "\n".join(said), "")  # type: ignore[attr-defined]
        down.down(stack)

    return end


def _die(id_: str, service: str, code: int) -> str:
    attributes = {"exitCode": str(code), "com.docker.compose.service": service}
    event = {"Action": "die", "id": id_, "Actor": {"Attributes": attributes}}
    return json.dumps({**event, "timeNano": int((time.time() + 5) * 1e9)})


def consistency(stack: StackContext) -> str:
    made = back_up(stack, "memo")
    [found] = [
        s for s in repository.listed(stack.root / "backups", "trial") if s.id == made
    ]
    store = found.manifest and found.manifest.store("memo")
    return store.consistency if store else ""


def test_after_down_a_set_is_what_the_store_left(
    stack: StackContext, gone: Callable[..., None]
) -> None:
    gone(code=0)

    assert consistency(stack) == "stop"


@pytest.mark.parametrize("how", [{"code": 137}, {"code": 0, "oom": True}, {}])
def test_store_that_was_killed_or_of_which_nobody_knows_is_marked_crash(
    stack: StackContext, gone: Callable[..., None], how: dict[str, Any]
) -> None:
    gone(**how)

    assert consistency(stack) == "crash"


def test_data_that_somebody_touched_since_is_marked_crash(
    stack: StackContext, gone: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Plain Compose may have started the store, and killed it."""
    gone(code=0)
    known = endings.STATE_FILE.load(stack.state)
    assert known is not None
    before = {n: replace(e, ended=NOW - 100) for n, e in known.stores.items()}
    endings.STATE_FILE.save(stack.state, endings.Endings(before))

    assert consistency(stack) == "crash"
    assert "changed since" in capsys.readouterr().err


def test_second_down_forgets_nothing(
    stack: StackContext, gone: Callable[..., None]
) -> None:
    gone(code=0)
    stack.everyone = ()
    gone()

    assert consistency(stack) == "stop"


def test_stopped_store_ended_as_its_container_says(
    stack: StackContext, world: World, gone: Callable[..., None]
) -> None:
    world.change("id-memo", state="exited", exit_code=9)
    gone()

    found = endings.of(stack, "memo")
    assert found is not None
    assert found.exit_code == 9


def test_change_deep_in_the_data_is_seen_in_the_first_levels(tmp_path: Path) -> None:
    from volume_helper import copying

    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "lock").write_text("")
    assert copying.changed(tmp_path) >= (tmp_path / "base" / "lock").stat().st_ctime
