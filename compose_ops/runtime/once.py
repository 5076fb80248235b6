"""A question that several threads have and one of them asks."""

from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """Asked by the first that wants to know; asked anew as long as it fails."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._asking = Lock()
        self._known: tuple[T, ...] = ()

    def begin(self) -> None:
        """Ask, so that the answer is there sooner; who wants it meets a failure."""
        with suppress(Exception):
            self.answer()

    def answer(self) -> T:
        with self._asking:
            self._known = self._known or (self._ask(),)
            return self._known[0]
