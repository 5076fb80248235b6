"""Folders in folders, more than Python lets a function call itself."""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LEVELS = 150
CALLS = 100  # fewer than levels: a thousand of them take long


def nest(folder: Path) -> Path:
    """Make a file at the end of LEVELS folders in *folder*; return the last."""
    last = folder.joinpath(*["d"] * LEVELS)
    last.mkdir(parents=True)
    (last / "file").touch()
    return last


@contextmanager
def few_calls() -> Iterator[None]:
    """Let Python end what calls itself for each level."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + CALLS)
    try:
        yield
    finally:
        sys.setrecursionlimit(usual)
