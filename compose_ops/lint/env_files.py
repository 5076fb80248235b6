"""Environment files such as `.env.example`, with the line of each variable."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = (
    ".env.example",
    ".env.sample",
    ".env.dist",
    ".env.template",
    "env.example",
    "example.env",
    ".env.default",
    ".env.defaults",
)
_NAME = re.compile(r"[A-Za-z_][\w.-]*")


@dataclass(frozen=True, slots=True)
class EnvLine:
    """One line of an environment file: its number, its value, the comments above."""

    line: int
    value: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EnvFile:
    """
    An environment file such as `.env.example`, by variable.

    `optional` are variables that stand there as a comment: `# MAIL_HOST=…`.
    """

    path: Path
    lines: Mapping[str, EnvLine]
    optional: frozenset[str] = frozenset()


def read(path: Path) -> EnvFile:
    """Read an environment file; lines that set nothing are passed over."""
    found: dict[str, EnvLine] = {}
    optional: set[str] = set()
    notes: list[str] = []
    text = path.read_bytes().decode("utf-8-sig", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare.startswith("#"):
            notes.append(bare)
            optional |= _named(bare.lstrip("# "))
            continue
        for name in _named(bare):
            value = bare.partition("=")[2].strip()
            found[name] = EnvLine(number, value, tuple(notes))
        notes = []
    return EnvFile(path, found, frozenset(optional - set(found)))


def _named(line: str) -> set[str]:
    name, equals, _ = line.removeprefix("export ").partition("=")
    return {name.strip()} if equals and _NAME.fullmatch(name.strip()) else set()


def names_in(path: Path) -> frozenset[str]:
    """Return the variables that a file sets, none where it cannot be read."""
    try:
        return frozenset(read(path).lines)
    except OSError:
        return frozenset()


def example_of(root: Path) -> EnvFile | None:
    """Return the project's example of `.env`, None when it has none."""
    for name in EXAMPLES:
        try:
            return read(root / name)
        except OSError:
            continue
    return None
