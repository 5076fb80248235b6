"""
What a person sees: lines and tables; progress goes to stderr, results to stdout.

Operations report progress and ask for confirmation here. Nothing is printed and nobody
is asked until a program attaches its terminal, as the tasks do: a library is silent.
"""

import io
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from compose_ops.errors import START_ENGINE
from compose_ops.redaction import clean

if TYPE_CHECKING:
    from compose_ops.docker.api import Container

PLAIN_WIDTH = 160  # columns where the output is no terminal


_attached: list[bool] = []
_words: dict[re.Pattern[str], str] = {}


def attach() -> None:
    """Let progress be printed and questions be asked from now on, in this process."""
    _attached[:] = [True]


def name_program(name: str) -> None:
    """Let texts name *name* as the program that runs tasks, in place of invoke."""
    _words[re.compile(r"\binvoke (?=[a-z])")] = f"{name} "


def name_engine_command(command: str) -> None:
    """Let hints name *command* as what installs and starts an engine."""
    neutral = re.escape(START_ENGINE.removeprefix("sudo "))
    _words[re.compile(rf"(?:sudo )?{neutral}")] = command


def _worded(text: str) -> str:
    """Return what is printed of *text*: no secret, and this project's commands."""
    for pattern, word in _words.items():
        text = pattern.sub(word.replace("\\", r"\\"), text)
    return clean(text)


def detach() -> None:
    """Be silent again, as before `attach`."""
    _attached.clear()


def say(line: str) -> None:
    """Print one line of progress."""
    if _attached:
        # Progress is best effort: a closed pipe or a full disk stops no work, no undo.
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(_worded(line) + "\n")
            sys.stderr.flush()


class OutputLostError(Exception):
    """Standard output took no more: a closed pipe, a full disk, a closed descriptor."""


def show(text: str, *, verbatim: bool = False) -> None:
    """
    Print one line or more of a result; OutputLostError when nobody takes them.

    With *verbatim* nothing but secrets is replaced in it.
    """
    try:
        sys.stdout.write((clean if verbatim else _worded)(text) + "\n")
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError) as lost:
        _discard_output()
        raise OutputLostError(str(lost)) from lost


def _discard_output() -> None:
    """Let nothing more be written, or the interpreter would complain at its end."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout."""
    from rich.console import Console
    from rich.table import Table

    made = Table(title=title or None, title_justify="left")
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=False)
    for row in rows:
        made.add_row(*row)
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    text = io.StringIO()
    width = None if is_terminal else PLAIN_WIDTH
    Console(file=text, width=width, force_terminal=is_terminal).print(made)
    show(text.getvalue().rstrip("\n"))


@contextmanager
def health_progress() -> Iterator[Callable[[Sequence["Container"]], None]]:
    """Yield a reporter: a live table on a terminal, otherwise one line a change."""
    if not (_attached and sys.stderr.isatty()):
        yield _LineReporter()
        return
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    begin = time.monotonic()
    with Live(console=Console(stderr=True), transient=True) as live:

        def report(containers: Sequence["Container"]) -> None:
            made = Table("service", "state", "health", title=_elapsed(begin))
            for container in containers:
                made.add_row(container.name, container.state, container.health or "-")
            live.update(made)

        yield report


@contextmanager
def live_table(
    columns: Sequence[str], rows: Callable[[], Sequence[Sequence[str]]]
) -> Iterator[None]:
    """Show on stderr, a terminal, what *rows* returns, again and again."""
    if not _attached:
        yield
        return
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    def render() -> Table:
        made = Table(*columns)
        for row in rows():
            made.add_row(*row)
        return made

    with Live(get_renderable=render, console=Console(stderr=True)):
        yield


def _elapsed(begin: float) -> str:
    return f"{time.monotonic() - begin:.0f} s"


class _LineReporter:
    """Says each container's new state once."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}

    def __call__(self, containers: Sequence["Container"]) -> None:
        for container in containers:
            state = container.health or container.state
            if self.seen.get(container.name, state) != state or (
                container.name not in self.seen and state != "healthy"
            ):
                say(f"{container.name}: {state}")
            self.seen[container.name] = state


def confirm(question: str, *, yes: bool, expected: str = "yes") -> bool:
    """Ask for *expected* on a terminal; without one only *yes* answers."""
    if yes:
        return True
    if not (_attached and sys.stdin.isatty()):
        return False
    sys.stderr.write(f"{question} Type {expected} to go on: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() == expected
