"""A task that nobody watches may wait for the one that is at work."""

import time
from contextlib import ExitStack

import pytest

from compose_ops.errors import Locked
from compose_ops.state import lock

NAME = ("engine", "test-lock-wait")


def test_task_waits_for_the_lock_and_gets_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(lock.WAIT, "60")
    with ExitStack() as other:
        other.enter_context(lock.locked(*NAME, task="invoke backup"))

        def nap(seconds: float) -> None:
            if seconds == lock.WAIT_LOOK_SECONDS:
                other.close()

        monkeypatch.setattr(time, "sleep", nap)
        with lock.locked(*NAME, task="invoke verify"):
            assert "invoke verify" in lock.holder(*NAME)

    assert "waiting up to 60 s for invoke backup" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "0", "soon", "1"])
def test_wait_has_an_end(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Without a number of seconds nobody waits, as ever."""
    monkeypatch.setenv(lock.WAIT, text)
    begin = time.monotonic()

    with (
        lock.locked(*NAME, task="invoke backup"),
        pytest.raises(Locked, match="invoke backup"),
        lock.locked(*NAME, task="invoke verify"),
    ):
        pass

    assert time.monotonic() - begin < 30
