"""What updates in memory leave out: checks of the machine, and waiting."""

import pytest
from composing import quick_clock

from compose_ops.doctor import requirements
from compose_ops.rollout import update


@pytest.fixture
def quick_update(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "require", lambda *_args, **_how: None)
    monkeypatch.setattr(update, "CLOCK", quick_clock())
