"""A stack in memory whose stores can be backed up and restored."""

import itertools
from contextlib import nullcontext
from pathlib import Path

import pytest
from backup_steps import opened, two_stores
from backup_world import World
from jimbot_helper import __main__ as helper_program

from jimbot_stack import change, checks
from jimbot_stack.backup import halting
from jimbot_stack.health import Clock
from jimbot_stack.stack import Stack


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return an engine on which memo and pair hold data and reader reads it."""
    ticks = itertools.count()
    clock = Clock(now=lambda: float(next(ticks)), sleep=lambda _seconds: None)
    monkeypatch.setattr(halting, "CLOCK", clock)
    monkeypatch.setattr(change, "locked", lambda *_, **__: nullcontext())
    monkeypatch.setattr(checks, "require", lambda *_, **__: None)
    for name in ("VOLUME", "ARCHIVE", "LISTING"):
        monkeypatch.setattr(helper_program, name, tmp_path)
    monkeypatch.setattr(helper_program, "_say", lambda _answer: None)
    folder = tmp_path / "volumes"
    folder.mkdir()
    made = World(folder, two_stores())
    for volume, lines in (("memo_data", 3), ("left_data", 5), ("right_data", 7)):
        made.write(volume, lines)
    return made


@pytest.fixture
def stack(tmp_path: Path, world: World) -> Stack:
    return opened(tmp_path, world)
