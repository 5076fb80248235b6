"""Two machines that work on one engine exclude each other."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from fakes import FakeEngine

from compose_ops.errors import EngineError, Locked
from compose_ops.state import engine_lock
from compose_ops.state.engine_lock import LABEL, holder, locked, volume_name

NAME = volume_name("shop")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what makes this the machine of another id."""
    file = tmp_path / "machine-id"
    monkeypatch.setattr(engine_lock, "MACHINE_ID", file)
    file.write_text("one")

    def become(name: str) -> None:
        file.write_text(name)

    return become


def test_second_machine_is_told_who_is_at_work_and_how_to_go_on(
    machine: Callable[[str], None],
) -> None:
    engine = FakeEngine()

    with locked(engine, "shop", task="invoke backup"):
        machine("two")
        with pytest.raises(Locked, match="invoke backup") as refused:
            locked(engine, "shop", task="invoke up").__enter__()
        assert f"docker volume rm {NAME}" in refused.value.hint
        assert holder(engine, "shop") is not None, "the loser leaves it alone"
        with locked(engine, "other", task="invoke up"):
            pass
        machine("one")

    assert engine.kept == {}


def test_whatever_ends_the_task_the_lock_goes(machine: Callable[[str], None]) -> None:
    del machine
    engine = FakeEngine()

    with suppress(KeyboardInterrupt), locked(engine, "shop", task="invoke up"):
        raise KeyboardInterrupt

    assert engine.kept == {}


def test_lock_that_a_dead_task_of_this_machine_left_is_taken_over(
    machine: Callable[[str], None],
) -> None:
    """It holds the machine's own lock, so nobody of this machine is at work."""
    del machine
    engine = FakeEngine()
    locked(engine, "shop", task="invoke backup").__enter__()

    with locked(engine, "shop", task="invoke up"):
        found = holder(engine, "shop")
        assert found is not None
        assert found.task.startswith("invoke up")

    assert engine.kept == {}


def test_lock_that_was_taken_by_force_meanwhile_is_left_to_its_holder(
    machine: Callable[[str], None],
) -> None:
    engine = FakeEngine()

    with locked(engine, "shop", task="invoke backup"):
        engine.remove_volume(NAME)
        machine("two")
        other = locked(engine, "shop", task="invoke up")
        other.__enter__()

    assert holder(engine, "shop") is not None


def test_engine_that_is_gone_at_the_end_hides_no_cause(
    machine: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del machine
    engine = FakeEngine()

    def refuse(_name: str) -> None:
        raise EngineError("the engine ended")

    with locked(engine, "shop", task="invoke up"):
        monkeypatch.setattr(engine, "volume", refuse)

    assert "the engine ended" in capsys.readouterr().err


def test_what_another_machine_wrote_is_shown_as_text(
    machine: Callable[[str], None],
) -> None:
    del machine
    engine = FakeEngine()
    engine.create_volume(NAME, labels={f"{LABEL}host": "x\x1b[31m\n" + "y" * 999})

    with pytest.raises(Locked) as refused:
        locked(engine, "shop", task="invoke up").__enter__()

    assert "\x1b" not in refused.value.message
    assert len(refused.value.message) < 300
    found = holder(engine, "shop")
    assert found is not None
    assert found.age == 0.0
