"""`.env` and its example: the only place that reads them."""

import os
import shlex
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path

from compose_ops.errors import ConfigurationError
from compose_ops.project import sharing

PLACEHOLDER = "change-me"
MAX_BYTES = 4 << 20


def read(path: Path) -> dict[str, str]:
    """Return the variables of an env file, empty when there is none."""
    try:
        text = _text(path)
    except FileNotFoundError:
        return {}
    except PermissionError as closed:
        raise ConfigurationError(
            f"{path.name} cannot be read: {closed}",
            hint=f'make it yours: sudo chown "$(id -u)" {shlex.quote(str(path))}',
        ) from closed
    except (OSError, ValueError) as unreadable:
        raise ConfigurationError(
            f"{path.name} cannot be read: {unreadable}",
            hint=f"it is a file of lines NAME=VALUE in UTF-8: {path}",
        ) from unreadable
    return dict(_parsed(text))


def _text(path: Path) -> str:
    """Return what a plain file of a bounded size holds; ValueError for another."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is not a regular file")
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    return content.decode()


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
    """Append *lines* to an env file, through a rename so that none is torn."""
    text = path.read_text() if path.exists() else ""
    joint = "" if text.endswith("\n") or not text else "\n"
    write_private(path, text + joint + "".join(f"{line}\n" for line in lines))


def write_private(path: Path, text: str, *, mode: int | None = None) -> None:
    """
    Write *text* at once and durably, closed to others (see `sharing`).

    With *mode* the file has that one, from the moment it has its name.
    """
    partial = path.with_name(f".{path.name}.partial")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(handle, sharing.file_mode(path.parent) if mode is None else mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
