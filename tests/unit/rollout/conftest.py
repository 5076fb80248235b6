"""What updates in memory leave out: checks of the machine, and waiting."""

import pytest
from composing import quick_clock

from jimbot_stack import checks
from jimbot_stack.rollout import update


@pytest.fixture
def quick_update(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "require", lambda *_args, **_how: None)
    monkeypatch.setattr(update, "CLOCK", quick_clock())
