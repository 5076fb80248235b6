"""
State as files of JSON: typed, numbered, written whole or not at all.

Every file holds `{"schema": number, …}` with the fields of a dataclass. Nobody vouches
for what lies on a disk: whatever cannot be read as that dataclass is a DataError which
names the file and says how to go on.
"""

import json
import os
import shlex
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from compose_ops.console import say
from compose_ops.errors import ConfigurationError, DataError
from compose_ops.project import sharing
from compose_ops.state.decode import decode

T = TypeVar("T")

MAX_BYTES = 4 << 20
SCHEMA = "schema"
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What JSON that is not what it should be may raise on its way to become a value."""


def _as_it_is(_schema: int, data: Any) -> Any:
    return data


@dataclass(frozen=True, slots=True)
class StateFile(Generic[T]):
    """
    A kind of state file: its name in a folder, what it holds, and its schema's number.

    `type` is a dataclass; what its `__post_init__` refuses with ValueError is refused.
    `upgrade` turns what a lower schema held, given its number, into the present fields;
    0 stands for the JSON of the version before, which had no number. `without` says
    what a task does when the file is set aside, which ends the hint of an error. What
    `is_cache` holds can be found out again: a file that cannot be read is named in a
    warning and replaced.
    """

    name: str
    type: type[T]
    version: int = 1
    without: str = "a task goes on without it"
    upgrade: Callable[[int, Any], Any] = _as_it_is
    is_cache: bool = False

    def load(self, folder: Path) -> T | None:
        """
        Return what is kept in *folder*, None where nothing is.

        Raises DataError for a file that is damaged or that a newer version wrote,
        ConfigurationError for one that is closed to this user.
        """
        try:
            return self.read(folder)
        except DataError as refused:
            if not self.is_cache:
                raise
            say(f"warning: {refused.message}; {self.without}")
            return None

    def read(self, folder: Path) -> T | None:
        """Do what `load` does, also for what `is_cache`."""
        return load(
            folder / self.name,
            self.type,
            self.version,
            upgrade=self.upgrade,
            without=self.without,
        )

    def save(self, folder: Path, value: T) -> None:
        """Write *value* durably, closed to others (see `sharing`); DataError."""
        save(folder / self.name, value, self.version)


def load(
    path: Path,
    kind: type[T],
    version: int,
    *,
    upgrade: Callable[[int, Any], Any] = _as_it_is,
    without: str = "a task goes on without it",
) -> T | None:
    """Return the value in a file, as `StateFile.load` does."""
    try:
        data = read_json(path)
        found = _schema(data)
        if found <= version:
            fields = _fields(data) if found else data
            value: T = decode(
                upgrade(found, fields) if found < version else fields, kind
            )
            return value
    except FileNotFoundError:
        return None
    except PermissionError as refused:
        raise closed(path) from refused
    except OSError as refused:
        raise damaged(path, refused.strerror or str(refused), without) from refused
    except UNREADABLE as wrong:
        raise damaged(path, str(wrong), without) from wrong
    raise DataError(
        f"{path} was written by a newer version of compose-ops (its schema is {found}, "
        f"this version knows {version})",
        hint="use that version for this project",
    )


def save(path: Path, value: Any, version: int) -> None:
    """
    Write a dataclass durably: whole or not at all, and only as it can be read again.

    Raises DataError where the disk refuses; then the file is as it was before.
    """
    data = {SCHEMA: version, **asdict(value)}
    text = json.dumps(data, indent=1, default=os.fspath) + "\n"
    expected = json.loads(text)

    def check(partial: Path) -> None:
        found = read_json(partial)
        if found != expected:
            raise ValueError("the disk returns something else than was written")
        decode(_fields(found), type(value))

    write(path, text, check=check)


def write(
    path: Path, text: str, *, check: Callable[[Path], None] = lambda _path: None
) -> None:
    """
    Write a file, closed to others, durably under another name, *check* it, rename it.

    Raises DataError where the disk refuses or *check* raises ValueError.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        make_folder(path.parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        mode = sharing.file_mode(path.parent)
        with os.fdopen(os.open(partial, flags, 0o600), "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        check(partial)
        partial.rename(path)
        sync(path.parent)
    except PermissionError as refused:
        raise closed(path.parent) from refused
    except (OSError, ValueError) as refused:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        reason = refused.strerror if isinstance(refused, OSError) else str(refused)
        raise DataError(
            f"{path} cannot be written: {reason}",
            hint="make room or repair the disk, then run this again",
        ) from refused


def remove(path: Path) -> None:
    """Remove a file durably, if it is there; DataError where the disk refuses."""
    try:
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            sync(path.parent)
    except OSError as refused:
        raise DataError(
            f"{path} cannot be removed: {refused.strerror}",
            hint="repair the disk, then run this again",
        ) from refused


def make_folder(folder: Path) -> None:
    """Make a folder of the state, and what is above it, as `sharing` says."""
    sharing.make_folder(folder)


def read_json(path: Path) -> Any:
    """Return what a plain file of JSON holds; raises as `read_bytes` does."""
    text = read_bytes(path)
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except UnicodeDecodeError:
        raise ValueError("it is not text") from None


def read_bytes(path: Path) -> bytes:
    """
    Return what a plain file holds.

    Raises OSError, and ValueError for all else that it may be: a pipe, a link, a
    device, too much.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is not a regular file")
        found = file.read(MAX_BYTES + 1)
    if len(found) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    return found


def damaged(path: Path, reason: str, without: str) -> DataError:
    """Return the refusal of a file whose content is not what it should be."""
    name = shlex.quote(str(path))
    return DataError(
        f"{path} is damaged: {reason}",
        hint=f"set it aside: mv {name} {name}.damaged; {without}",
    )


def closed(path: Path) -> ConfigurationError:
    """Return the refusal of a file or folder that belongs to another user."""
    name = shlex.quote(str(path))
    return ConfigurationError(
        f"{path} is closed to this user",
        hint=f'make it yours: sudo chown -R "$(id -u)" {name}',
    )


def sync(folder: Path) -> None:
    """Make what was renamed or removed in *folder* durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _schema(data: Any) -> int:
    """Return the number of a file's schema, 0 for JSON of the version before."""
    if not isinstance(data, Mapping) or SCHEMA not in data:
        return 0
    found = data[SCHEMA]
    if type(found) is not int or found < 1:
        raise ValueError(f"its schema is {found!r:.40}")
    return found


def _fields(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != SCHEMA}
