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
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

from compose_ops.errors import START_ENGINE
from compose_ops.plain_text import plain, plain_colours, plain_lines
from compose_ops.redaction import clean

if TYPE_CHECKING:
    from rich.live import Live

    from compose_ops.docker.api import Container

PLAIN_WIDTH = 160  # columns where the output is no terminal
DUMB = frozenset({"", "dumb", "unknown"})
# A name in brackets is a name, not a style; one between colons is no picture.
_AS_DATA: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}


_attached: list[bool] = []
_kept: list[deque[str]] = []
_words: dict[re.Pattern[str], str] = {}
_program: list[str] = []
_lost: list[OSError | ValueError | AttributeError] = []


def attach() -> None:
    """
    Let progress be printed and questions be asked from now on, in this process.

    What the terminal's encoding lacks is written as an escape, and loses no line.
    """
    _attached[:] = [True]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def shows_progress() -> bool:
    """Say whether somebody looks: standard error is a terminal."""
    return _is_terminal(sys.stderr)


def _is_terminal(stream: TextIO | None) -> bool:
    """Say whether a stream is a terminal; a closed one is none."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def name_program(name: str) -> None:
    """Let texts name *name* as the program that runs tasks, in place of invoke."""
    _program[:] = [name]
    _words[re.compile(r"\binvoke (?=[a-z])")] = f"{name} "


def program() -> str:
    """Return the name of the program that runs tasks."""
    return _program[0] if _program else "invoke"


def name_engine_command(command: str) -> None:
    """Let hints name *command* as what installs and starts an engine."""
    neutral = re.escape(START_ENGINE.removeprefix("sudo "))
    _words[re.compile(rf"(?:sudo )?{neutral}")] = command


def worded(text: str) -> str:
    """Return what is printed of *text*: no secret, and this project's commands."""
    for pattern, word in _words.items():
        text = pattern.sub(word.replace("\\", r"\\"), text)
    return clean(text)


def detach() -> None:
    """Be silent again, as before `attach`."""
    _attached.clear()
    _lost.clear()


def say(line: str) -> None:
    """Print one line of progress."""
    for kept in _kept:
        kept.append(worded(line))
    if _attached:
        # Progress is best effort: a closed pipe or a full disk stops no work, no undo.
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(plain_lines(worded(line)) + "\n")
            sys.stderr.flush()


@contextmanager
def keeping_last(count: int) -> Iterator[Sequence[str]]:
    """Yield the last *count* lines of progress, which grow and move on meanwhile."""
    lines: deque[str] = deque(maxlen=count)
    _kept.append(lines)
    try:
        yield lines
    finally:
        _kept.remove(lines)


class OutputLostError(Exception):
    """Standard output took no more: a closed pipe, a full disk, a closed descriptor."""


def show(text: str, *, verbatim: bool = False) -> None:
    """
    Print one line or more of a result; where nobody takes them, work goes on.

    With *verbatim* nothing but secrets is replaced in it.
    """
    _print(plain_lines((clean if verbatim else worded)(text)) + "\n")


def write(text: str) -> None:
    """Print text that has its own end of line, secrets replaced; as `show`."""
    _print(plain_lines(clean(text)))


def _print(text: str) -> None:
    """Print a result; a loss is kept for `require_output`, when all is done."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError) as lost:
        _discard_output()
        _lost.append(lost)


def require_output() -> None:
    """Raise OutputLostError where something that was printed found no reader."""
    if _lost:
        raise OutputLostError(str(_lost[0])) from _lost[0]


def write_json(text: str) -> None:
    """Print JSON whose values are redacted already, remembering a loss as `show`."""
    _print(text)


def show_raw(text: str) -> None:
    """
    Print foreign text that is redacted already; OutputLostError when nobody takes it.

    For a task that only hands on what others write: there is nothing more to do.
    """
    _print(plain_colours(text, keep=_is_terminal(sys.stdout)))
    require_output()


def say_raw(text: str) -> None:
    """Print on stderr foreign text that is redacted already; best effort."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(plain_colours(text, keep=_is_terminal(sys.stderr)))
        sys.stderr.flush()


def is_terminal() -> bool:
    """Say whether results go to a terminal."""
    return _is_terminal(sys.stdout)


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

    # Folded, a secret is in pieces that nothing finds any more.
    made = Table(title=plain(worded(title)) or None, title_justify="left")
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=False)
    for row in rows:
        made.add_row(*(plain_lines(worded(cell)) for cell in row))
    text = io.StringIO()
    width = None if is_terminal() else PLAIN_WIDTH
    console = Console(file=text, width=width, force_terminal=is_terminal(), **_AS_DATA)
    console.print(made)
    _print(text.getvalue().rstrip("\n") + "\n")


@contextmanager
def health_progress() -> Iterator[Callable[[Sequence["Container"]], None]]:
    """Yield a reporter: a live table on a terminal, otherwise one line a change."""
    if not (_attached and shows_progress()):
        yield _LineReporter()
        return
    from rich.table import Table

    begin = time.monotonic()
    with _live(transient=True) as live:

        def report(containers: Sequence["Container"]) -> None:
            made = Table("service", "state", "health", title=_elapsed(begin))
            for container in containers:
                row = (container.name, container.state, container.health or "-")
                made.add_row(*map(plain, row))
            live.update(made)

        yield report


@contextmanager
def live_table(
    columns: Sequence[str], rows: Callable[[], Sequence[Sequence[str]]]
) -> Iterator[None]:
    """Show on stderr, a terminal, what *rows* returns, again and again."""
    if not has_screen():
        yield
        return
    from rich.table import Table

    def render() -> Table:
        made = Table(*columns)
        for row in rows():
            made.add_row(*(plain(worded(cell)) for cell in row))
        return made

    with _live(get_renderable=render):
        yield


@contextmanager
def _live(**how: Any) -> Iterator["Live"]:
    """Show on stderr, a terminal, what changes; one that is gone stops no work."""
    from rich.console import Console
    from rich.live import Live

    # rich looks for the stream behind another display, and would write to it itself.
    terminal = getattr(sys.stderr, "rich_proxied_file", sys.stderr)
    stream = cast("TextIO", _BestEffort(terminal))
    screen = Console(file=stream, force_terminal=True, **_AS_DATA)
    with Live(console=screen, redirect_stdout=False, **how) as live:
        yield live


def has_screen() -> bool:
    """Say whether stderr is a terminal on which lines can be written over."""
    return bool(
        _attached
        and _is_terminal(sys.stderr)
        and os.environ.get("TERM", "").lower() not in DUMB
    )


class _BestEffort:
    """A stream that takes everything, also when its terminal is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


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


def can_ask() -> bool:
    """Say whether somebody at a terminal can answer."""
    return bool(_attached) and _is_terminal(sys.stdin)


def confirm(question: str, *, yes: bool, expected: str = "yes") -> bool:
    """Ask for *expected* on a terminal; without one only *yes* answers."""
    if yes:
        return True
    if not (_attached and _is_terminal(sys.stdin) and sys.stderr is not None):
        return False
    asked = plain_lines(worded(question))
    sys.stderr.write(f"{asked} Type {plain(expected)} to go on: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() == expected
