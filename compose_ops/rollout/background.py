"""Work that runs beside the update's own steps."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")


def begin(do: Callable[[], Result]) -> "Future[Result]":
    """
    Run *do* in a thread of its own; the future raises what it raised.

    The thread does not keep the process alive: an executor's would, where nobody waits
    for it any more.
    """
    found: Future[Result] = Future()

    def run() -> None:
        try:
            found.set_result(do())
        except BaseException as error:  # noqa: BLE001 - raised by `result`
            found.set_exception(error)

    Thread(target=run, daemon=True).start()
    return found
