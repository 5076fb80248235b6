"""Run a project's own commands around a task, within a time limit."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from compose_ops.console import say
from compose_ops.redaction import clean

TASK = "COMPOSE_OPS_TASK"
SHOWN = 20
"""Lines of a hook's output that are said."""
MOST_BYTES = 64 * 1024


def is_inside() -> bool:
    """Say whether this process is a hook's: the tasks that it runs have no hooks."""
    return TASK in os.environ


def run(
    name: str,
    words: Sequence[str],
    *,
    folder: Path,
    timeout: float,
    variables: Mapping[str, str],
) -> str:
    """
    Run a hook to its end; return what went wrong as one line, "" for nothing.

    Its output is said, the last lines of it. After *timeout* seconds it is killed, with
    what it started.
    """
    if not words:
        return ""
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                words,
                cwd=folder,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as refused:
            return f"the hook {name} cannot be run: {words[0]}: {refused.strerror}"
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            return f"the hook {name} took more than {timeout:.0f} s and was killed"
        finally:
            _end(process)
            _say(name, output.fileno())
    return f"the hook {name} failed with exit code {code}" if code else ""


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill a hook that still runs, and whatever it started."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _say(name: str, output: int) -> None:
    size = os.fstat(output).st_size
    begin = max(0, size - MOST_BYTES)
    text = os.pread(output, MOST_BYTES, begin).decode(errors="replace")
    if begin:  # the rest of a line may be the rest of a secret
        text = text.partition("\n")[2]
    for line in clean(text).splitlines()[-SHOWN:]:
        say(f"{name}: {line}")
