"""The one way in which tests wait: ask again until it holds, or a limit is over."""

import time
from collections.abc import Callable

PAUSE = 0.05


def until(holds: Callable[[], object], *, seconds: float = 120) -> bool:
    """Ask until *holds* is true; False when it is not within *seconds*."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)
    return True


def eventually(
    holds: Callable[[], object],
    *,
    seconds: float = 120,
    evidence: Callable[[], object] = lambda: "",
) -> None:
    """Wait until *holds* is true; fail with the *evidence* when it is not in time."""
    assert until(holds, seconds=seconds), f"not within {seconds} s {evidence()}"
