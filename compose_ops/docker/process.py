"""Run docker commands for the adapter: echo, time limits, and Docker's errors named."""

import re
import selectors
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from json import loads
from typing import IO

from compose_ops.docker.api import Echo, Event, Output
from compose_ops.errors import (
    START_ENGINE,
    ConfigurationError,
    EngineError,
    EngineUnavailable,
)

TIMED_OUT = 124
COMPOSE_INVALID = 15

_NO_DAEMON = re.compile(
    r"cannot connect to the docker daemon|error during connect:|"
    r"dial unix \S+: connect:",
    re.IGNORECASE,
)
_NO_PERMISSION = re.compile(r"permission denied while trying to conn", re.IGNORECASE)
_NO_PLUGIN = re.compile(
    r"'(compose|buildx)' is not a docker command|"
    r"unknown (shorthand flag|command: docker) "
)
_NOISE = re.compile(r"attribute `version` is obsolete|level=warning")


def run(
    argv: Sequence[str],
    *,
    echo: Echo,
    stdin: bytes | None = None,
    timeout: float | None = None,
) -> Output:
    """Run *argv* to its end, captured. Code 124 means that *timeout* passed."""
    echo(argv)
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as late:
        return Output(TIMED_OUT, _text(late.stdout), _text(late.stderr))
    except FileNotFoundError as missing:
        raise no_client() from missing
    return Output(done.returncode, _text(done.stdout), _text(done.stderr))


def check(output: Output, argv: Sequence[str]) -> Output:
    """Return *output*, or raise what its exit code and words mean."""
    if output.code == 0:
        return output
    raise failure(output.code, output.stderr or output.stdout, argv)


def failure(
    code: int, words: str, argv: Sequence[str]
) -> EngineError | ConfigurationError:
    """Name the error behind Docker's *words*."""
    lines = [line for line in words.strip().splitlines() if not _NOISE.search(line)]
    said = lines[-1] if lines else f"exit code {code}"
    if code == TIMED_OUT:
        return EngineUnavailable(
            "the Docker Engine does not answer in time",
            hint=f"look at the daemon's log, then start it: {START_ENGINE}",
        )
    if _NO_PERMISSION.search(words):
        return EngineUnavailable(
            "Docker's socket may not be used by this user",
            hint='join the group: sudo usermod -aG docker "$USER", then log in again',
        )
    if _NO_DAEMON.search(words):
        return EngineUnavailable(
            "no Docker Engine answers", hint=f"start it: {START_ENGINE}"
        )
    if _NO_PLUGIN.search(words):
        return EngineUnavailable(
            "the docker client lacks its compose or buildx plugin",
            hint=f"install both: {START_ENGINE}",
        )
    if code == COMPOSE_INVALID or " config" in f" {shlex.join(argv[-6:])}":
        return ConfigurationError(
            f"the compose files are not valid: {said}",
            hint="invoke config shows the merged model; invoke lint names the fault",
        )
    return EngineError(
        f"docker refused: {said}",
        hint="invoke doctor looks for the cause; --echo shows each command",
        detail="\n".join(lines[-10:-1]),
    )


def no_client() -> EngineUnavailable:
    return EngineUnavailable(
        "no docker client on PATH", hint=f"install an engine, then: {START_ENGINE}"
    )


@dataclass
class Stream:
    """
    The running `docker events`, read line by line with a time limit.

    One that has ended brings nothing more: then each question takes its whole time.
    """

    pipe: IO[bytes]
    selector: selectors.BaseSelector
    rest: bytes = b""

    def next(self, timeout: float) -> Event | None:
        while b"\n" not in self.rest:
            if not self.selector.select(timeout):
                return None
            block = self.pipe.read1(65536)  # type: ignore[attr-defined]
            if not block:
                time.sleep(timeout)
                return None
            self.rest += block
        line, self.rest = self.rest.split(b"\n", 1)
        return _event(line)


@contextmanager
def event_stream(argv: Sequence[str], *, echo: Echo) -> Iterator[Stream]:
    """
    Follow *argv*, a `docker events` in JSON lines, until the block ends.

    In a session of its own: Ctrl-C is for the task alone.
    """
    echo(argv)
    with subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        if process.stdout is None:
            raise EngineError("docker events gave no output")
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            try:
                yield Stream(process.stdout, selector)
            finally:
                process.terminate()


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


def _text(data: bytes | None) -> str:
    return (data or b"").decode(errors="replace")
