"""How far a copy is: bytes, rate and time left, on a terminal only."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from compose_ops.console import shows_progress
from compose_ops.plain_text import plain
from compose_ops.units import readable_duration, readable_size

REDRAW_SECONDS = 0.2


@contextmanager
def meter(
    label: str, total: int, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[int], None]]:
    """Yield a reporter of the bytes done so far of *total*."""
    if not shows_progress():
        yield lambda _done: None
        return
    begin, drawn = clock(), [0.0]

    def report(done: int) -> None:
        now = clock()
        if now - drawn[0] >= REDRAW_SECONDS:
            drawn[0] = now
            _draw(line(label, done, total, now - begin))

    try:
        yield report
    finally:
        _draw("")


def _draw(text: str) -> None:
    """Replace the line; a terminal that has gone stops no copy."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write("\r\x1b[K" + plain(text))
        sys.stderr.flush()


def line(label: str, done: int, total: int, elapsed: float) -> str:
    """Return one line: what was done of how much, at what rate, how long it takes."""
    rate = done / elapsed if elapsed > 0 else 0.0
    words = f"{label} {readable_size(done)} of {readable_size(max(done, total))}"
    if rate > 0:
        left = max(total - done, 0) / rate
        words += f", {readable_size(rate)}/s, {readable_duration(left)} left"
    return words
