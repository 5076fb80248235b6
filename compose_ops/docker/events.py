"""Follow `docker events`, each with a time limit; its child ends with the block."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from json import loads

from compose_ops.docker import process
from compose_ops.docker.api import Echo, Event
from compose_ops.docker.lines import EndedError, Lines, lines_of
from compose_ops.errors import EngineError


@dataclass(frozen=True, slots=True)
class Stream:
    """
    The running `docker events`.

    One that has ended brings nothing more: then each question takes its whole time.
    """

    lines: Lines

    def next(self, timeout: float) -> Event | None:
        try:
            line = self.lines.next(timeout)
        except EndedError:
            time.sleep(timeout)
            return None
        return None if line is None else _event(line)


@contextmanager
def event_stream(argv: Sequence[str], *, echo: Echo) -> Iterator[Stream]:
    """Follow *argv*, a `docker events` in JSON lines, until the block ends."""
    process.shown(argv, None, echo)
    running = process.begin(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        if running.stdout is None:
            raise EngineError("docker events gave no output")
        with lines_of(running.stdout) as lines:
            yield Stream(lines)
    finally:
        process.end(running)


def _event(line: bytes) -> Event:
    data = loads(line)
    actor = data.get("Actor", {})
    return Event(
        time=data.get("timeNano", 0) / 1e9,
        kind=data.get("Type", ""),
        action=data.get("Action", ""),
        id=actor.get("ID", ""),
        attributes=actor.get("Attributes", {}),
    )
