"""Run docker commands: environment, time limit, echo, and an orderly end."""

import atexit
import codecs
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Thread
from typing import IO, Any

from compose_ops import redaction
from compose_ops.docker.api import Echo, Output
from compose_ops.docker.failure import TIMED_OUT, no_client

__all__ = [
    "TIMED_OUT",
    "begin",
    "end",
    "end_all",
    "finish",
    "redacted",
    "run",
    "shown",
    "terminate_all",
]

SECONDS_TO_END = 5.0
"""Between SIGTERM, at which docker cancels what it does, and SIGKILL."""

CHUNK = 65536

_at_work: set["subprocess.Popen[bytes]"] = set()


def run(
    argv: Sequence[str],
    *,
    echo: Echo,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    stdin: bytes | IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
) -> Output:
    """
    Run *argv* to its end, captured; code 124 where *timeout* seconds passed.

    *environment* is added to this process's own. With *stdout* an open file gets what
    is printed there, byte by byte. Raises EngineUnavailable without a docker client.
    """
    shown(argv, environment, echo)
    content = stdin if isinstance(stdin, bytes) else None
    source = subprocess.PIPE if content is not None else stdin or subprocess.DEVNULL
    process = begin(
        argv,
        environment,
        stdin=source,
        stdout=stdout or subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        out, err = finish(process, content, timeout)
    except subprocess.TimeoutExpired as late:
        return Output(TIMED_OUT, _text(late.stdout), _text(late.stderr))
    return Output(process.returncode, _text(out), _text(err))


def redacted(
    argv: Sequence[str],
    environment: Mapping[str, str] | None,
    *,
    write: Callable[[str], object],
    write_error: Callable[[str], object],
) -> int:
    """
    Run *argv* to its end, and hand on what it prints, line by line, secrets replaced.

    What *write* raises, such as for a closed pipe, ends the client and is raised.
    """
    pipe = subprocess.PIPE
    process = begin(
        argv, environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    errors = Thread(target=_hand_on, args=(process.stderr, write_error), daemon=True)
    try:
        errors.start()
        _hand_on(process.stdout, write)
        process.wait()
        errors.join()
        return process.returncode
    finally:
        end(process)


def _hand_on(source: Any, write: Callable[[str], object]) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    stream = redaction.Stream()
    while piece := source.read1(CHUNK):
        if text := stream.feed(decoder.decode(piece)):
            write(text)
    if text := stream.feed(decoder.decode(b"", final=True)) + stream.end():
        write(text)


def shown(
    argv: Sequence[str], environment: Mapping[str, str] | None, echo: Echo
) -> None:
    """Give *echo* the command as it could be typed, without the value of a secret."""
    values = [
        f"{name}={redaction.MASK if redaction.is_secret_name(name) else value}"
        for name, value in (environment or {}).items()
    ]
    words = [*(["env", *values] if values else []), *map(str, argv)]
    echo([redaction.clean(word) for word in words])


def begin(
    argv: Sequence[str], environment: Mapping[str, str] | None = None, **how: Any
) -> "subprocess.Popen[bytes]":
    """
    Start a docker client; it is ended with this process at the latest.

    In a session of its own: Ctrl-C is for the task, which ends what it has begun and
    lets go on what puts things back.
    """
    values = {**os.environ, **environment} if environment else None
    try:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            argv, env=values, start_new_session=True, **how
        )
    except FileNotFoundError as missing:
        raise no_client() from missing
    _at_work.add(process)
    return process


def finish(
    process: "subprocess.Popen[bytes]", content: bytes | None, timeout: float | None
) -> tuple[bytes | None, bytes | None]:
    """
    Return what *process* prints until its end.

    Whatever stops the waiting (a time limit as TimeoutExpired, Ctrl-C) ends it, too.
    """
    try:
        return process.communicate(content, timeout)
    finally:
        end(process)


def end(process: "subprocess.Popen[bytes]", seconds: float = SECONDS_TO_END) -> None:
    """Let a client cancel what it does, and kill it when that takes too long."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(OSError, ValueError):
                pipe.close()
    _at_work.discard(process)


@atexit.register
def end_all() -> None:
    """End the clients that threads of this process left at work."""
    terminate_all()
    for process in list(_at_work):
        end(process)


def terminate_all() -> None:
    """Tell the clients at work to end, and do not wait for it."""
    for process in list(_at_work):
        _signal(process, signal.SIGTERM)


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """Send a signal to a client and to the plugin that it runs."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def _text(data: bytes | None) -> str:
    return (data or b"").decode(errors="replace")
