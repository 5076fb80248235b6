"""What a service gets as single files: secrets, configs, and files mounted alone."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from compose_ops.project.model import Model

MAX_BYTES = 1 << 20
"""Bytes of a file that takes part; what is larger is data, not configuration."""


@dataclass(frozen=True, slots=True)
class Content:
    """
    One content of a service: `title` names it to a person.

    It is the `file`, where there is one, else the `text`, None where nobody knows it.
    A container sees another file at its next start, another text when it is recreated.
    """

    title: str
    file: Path | None = None
    text: str | None = None

    def read(self) -> bytes | None:
        """Return the bytes, None where they cannot be read or are too many."""
        if self.file is None:
            return None if self.text is None else self.text.encode()
        try:
            handle = os.open(self.file, os.O_RDONLY | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as opened:
                found = os.fstat(handle)
                if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
                    return None
                return opened.read(MAX_BYTES)
        except OSError:
            return None

    def changed_at(self) -> float:
        """
        Return when the file was last written or replaced, in seconds; 0.0: never.

        So it was where a link on the way to it was turned to another one.
        """
        if self.file is None:
            return 0.0
        links = [path for path in self.file.parents if path.is_symlink()]
        try:
            times = [path.lstat().st_ctime for path in (self.file, *links)]
            return max(*times, self.file.stat().st_ctime)
        except OSError:
            return 0.0


def variables(model: Model) -> tuple[str, ...]:
    """Return the variables that are contents of secrets or configs."""
    kinds: list[Mapping[str, Mapping[str, object] | None]]
    kinds = [model.raw.get("secrets") or {}, model.raw.get("configs") or {}]
    definitions = (one or {} for kind in kinds for one in kind.values())
    names = (one.get("environment") for one in definitions)
    return tuple(dict.fromkeys(str(name) for name in names if name))


def of_service(
    model: Model, service: str, values: Mapping[str, str]
) -> Iterator[Content]:
    """
    Yield the contents of a service's secrets, configs and read-only single files.

    *values* are the variables that Compose interpolates. A bind mount of anything but a
    regular file of up to 1 MiB is no single file; neither is one that the service may
    write.
    """
    described = model.service(service)
    for kind in ("secret", "config"):
        defined: Mapping[str, Mapping[str, object]] = model.raw.get(f"{kind}s") or {}
        for grant in described.get(f"{kind}s") or ():
            name = grant["source"] if isinstance(grant, dict) else str(grant)
            yield _defined(f"{kind} {name}", defined.get(name) or {}, values)
    for mount in described.get("volumes") or ():
        if mount.get("type") == "bind" and mount.get("read_only"):
            path = Path(str(mount["source"]))
            if _is_single(path):
                yield Content(f"file {path}", file=path)


def _defined(
    title: str, definition: Mapping[str, object], values: Mapping[str, str]
) -> Content:
    if file := definition.get("file"):
        return Content(title, file=Path(str(file)))
    if variable := definition.get("environment"):
        return Content(title, text=values.get(str(variable)))
    content = definition.get("content")
    return Content(title, text=None if content is None else str(content))


def _is_single(path: Path) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size <= MAX_BYTES
