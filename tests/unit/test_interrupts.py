"""Signals that come while something must not be stopped half-way."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest

from compose_ops import interrupts
from compose_ops.interrupts import undoing

SIGNALS = [signal.SIGINT, signal.SIGTERM]


class Ended(BaseException):
    """Stands for the end of the process."""


@pytest.fixture(autouse=True)
def _no_end_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_code: int) -> None:
        raise Ended

    monkeypatch.setattr(os, "_exit", end)


@pytest.fixture
def task() -> Iterator[None]:
    """Let signals be handled as in a task."""
    with interrupts.handled():
        yield


def interrupt(number: signal.Signals = signal.SIGTERM) -> None:
    signal.raise_signal(number)


@pytest.mark.usefixtures("task")
def test_signal_that_was_held_unwinds_the_task(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As a first one does: the next is answered, and only a third ends."""
    done = []

    with pytest.raises(Ended):  # noqa: PT012 - as a task does
        try:
            with undoing("recording"):
                interrupt()
                done.append("recorded")
            done.append("went on")
        finally:
            with undoing("unlocking"):
                interrupt()
                done.append("unlocked")
                interrupt()

    assert done == ["recorded", "unlocked"]
    said = capsys.readouterr().err
    assert "still recording" in said
    assert "still unlocking" in said


@pytest.mark.usefixtures("task")
def test_signal_is_held_to_the_end_of_the_outermost_block() -> None:
    done = []

    with pytest.raises(KeyboardInterrupt), undoing("all"):  # noqa: PT012 - as a task
        with undoing("the first"):
            interrupt()
        done.append("the second")

    assert done == ["the second"]


@pytest.mark.usefixtures("task")
def test_signal_hides_no_error_that_is_cleaned_up_after() -> None:
    with pytest.raises(LookupError, match="first"):  # noqa: PT012 - as a task does
        try:
            raise LookupError("first")
        finally:
            with undoing("cleaning up"):
                interrupt()


@pytest.mark.usefixtures("task")
def test_signal_hides_no_error_of_the_block_itself() -> None:
    with pytest.raises(LookupError), undoing("recording"):  # noqa: PT012 - as a task
        interrupt()
        raise LookupError


@pytest.mark.usefixtures("task")
def test_signal_outlasts_an_error_that_is_swallowed() -> None:
    """The task that goes on is unwound after the next block."""
    with suppress(LookupError), undoing("trying"):
        interrupt()
        raise LookupError

    with pytest.raises(KeyboardInterrupt), undoing("recording"):
        pass


@pytest.mark.usefixtures("task")
def test_signal_that_unwound_already_is_raised_once() -> None:
    unwound = []

    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - as a task does
        try:
            interrupt()
        finally:
            with undoing("cleaning up"):
                interrupt()
            unwound.append(True)

    assert unwound


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_reaches_a_program_without_a_task(number: signal.Signals) -> None:
    """Afterwards its handlers are its own, and nothing is remembered."""
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), undoing("recording"):
        interrupt(number)

    assert signal.getsignal(number) is before
    with undoing("recording"):
        pass
