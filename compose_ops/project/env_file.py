"""`.env` and its example: the only place that reads them."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path

from compose_ops.errors import ConfigurationError

PLACEHOLDER = "change-me"


def read(path: Path) -> dict[str, str]:
    """Return the variables of an env file, empty when there is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as unreadable:
        raise ConfigurationError(
            f"{path.name} cannot be read: {unreadable}",
            hint=f'make it yours: sudo chown "$(id -u)" {path}, or save it as UTF-8',
        ) from unreadable
    return dict(_parsed(text))


@cache
def _parsed(text: str) -> Mapping[str, str]:
    from dotenv import dotenv_values

    found = dotenv_values(stream=StringIO(text), interpolate=False)
    return {name: value or "" for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class Statement:
    """
    An assignment of an env file, or what stands there and is none (`name` is empty).

    Lines count from 1; a quoted value may have many.
    """

    name: str
    first: int
    last: int


def statements(text: str) -> tuple[Statement, ...]:
    """Return what stands in an env file, without comments and empty lines."""
    from dotenv.parser import parse_stream

    found = []
    for one in parse_stream(StringIO(text)):
        raw = one.original.string
        before = len(raw) - len(raw.lstrip())
        first = one.original.line + raw[:before].count("\n")
        last = first + raw.strip().count("\n")
        if one.error or one.key:
            name = "" if one.error or one.value is None else str(one.key)
            found.append(Statement(name, first, last))
    return tuple(found)


def settings(files: Iterable[Path]) -> dict[str, str]:
    """Return what Compose interpolates: env files, overridden by the shell."""
    found: dict[str, str] = {}
    for file in files:
        found |= read(file)
    return found | dict(os.environ)


def add_lines(path: Path, lines: list[str]) -> None:
    """Append *lines* to an env file (0600), through a rename so that none is torn."""
    text = path.read_text() if path.exists() else ""
    joint = "" if text.endswith("\n") or not text else "\n"
    write_private(path, text + joint + "".join(f"{line}\n" for line in lines))


def write_private(path: Path, text: str) -> None:
    """Write *text* at once and durably, readable by its owner alone."""
    partial = path.with_name(f".{path.name}.partial")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
