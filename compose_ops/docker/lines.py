"""Read the lines of a running docker command, each with a time limit."""

import os
import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

BLOCK = 1 << 16


class EndedError(Exception):
    """The command wrote its last line."""


class Lines:
    """The lines that a pipe brings; bytes behind the last newline wait for more."""

    def __init__(self, pipe: IO[bytes], selector: selectors.BaseSelector) -> None:
        self._file = pipe.fileno()
        self._selector = selector
        self._rest = b""

    def next(self, timeout: float) -> bytes | None:
        """
        Return the next line without its end, None when *timeout* seconds bring none.

        Raises EndedError behind the last one.
        """
        while b"\n" not in self._rest:
            if not self._selector.select(timeout):
                return None
            block = os.read(self._file, BLOCK)
            if not block:
                raise EndedError
            self._rest += block
        line, self._rest = self._rest.split(b"\n", 1)
        return line


@contextmanager
def lines_of(pipe: IO[bytes]) -> Iterator[Lines]:
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        yield Lines(pipe, selector)
