"""
Signals that end a task: the first unwinds it, a second is answered, a third ends it.

SIGINT, SIGTERM, SIGHUP and SIGQUIT mean the same here: a terminal that is closed, a
session that ends and Ctrl-C all let a task put back what it began. While it does so,
another signal does not stop it half-way: it says what is still to do. Whoever insists
ends the process; what is left then is put right by the next task or by `recover`.
A first signal that comes while something must not be stopped unwinds the task after it.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from compose_ops.console import say

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
EXIT_CODE = 130

_undoing: list[str] = []
_received: list[int] = []
_held: list[int] = []


@contextmanager
def handled() -> Iterator[None]:
    """
    Let the signals raise KeyboardInterrupt once, for as long as a task runs.

    A signal that is ignored when the task starts stays ignored, as `nohup` means it.
    Outside the main thread, which alone may set handlers, nothing changes.
    """
    before = {}
    try:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, _receive)
    except ValueError:
        yield
        return
    _forget()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _forget() -> None:
    _received.clear()
    _held.clear()


@contextmanager
def undoing(what: str) -> Iterator[None]:
    """
    Let no signal stop the block; one that arrives is answered with *what* it does.

    Where it is the first one, KeyboardInterrupt is raised at the end of the outermost
    block, unless an exception unwinds the task already.

    >>> with undoing("starting memgraph again"):
    ...     pass
    """
    _undoing.append(what)
    before = _defaults_replaced()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _undoing.pop()
        is_due = bool(_held) and not _undoing
    if is_due and sys.exception() is None:
        _held.clear()
        del _received[1:]
        raise KeyboardInterrupt


def _defaults_replaced() -> dict[signal.Signals, Any]:
    """Take over signals from Python's own handlers, where a program set none."""
    defaults = (signal.default_int_handler, signal.SIG_DFL)
    found = {n: h for n in SIGNALS if (h := signal.getsignal(n)) in defaults}
    if found:
        _forget()
    try:
        for number in found:
            signal.signal(number, _receive)
    except ValueError:
        return {}
    return found


def _receive(number: int, _frame: FrameType | None) -> None:
    _received.append(number)
    # What was begun may fail by itself: then the first signal finds it being undone.
    if _undoing and len(_received) == 1:
        _received.append(number)
        _held.append(number)
    if len(_received) == 1:
        raise KeyboardInterrupt
    if len(_received) > 2:  # noqa: PLR2004 - the third one ends
        from compose_ops.docker import process  # `--list` needs nothing of Docker

        process.terminate_all()
        os._exit(EXIT_CODE)
    what = _undoing[-1] if _undoing else "putting back what was begun"
    say(
        f"interrupted: still {what}; interrupt once more to end at once and leave that "
        "to the next task"
    )
