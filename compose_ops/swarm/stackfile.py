"""The values of a translation: the stack file, its losses, and the files it names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Loss:
    """A setting that Swarm does not have; `service` is "" for one of all services."""

    service: str
    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.service + ': ' if self.service else ''}{self.key}: {self.reason}"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """
    A file that a config or a secret is made of.

    `inner` is its path in the mounted folder, "" where the file itself is mounted;
    `mark` the keyed fingerprint of what it holds; `mode` its permission bits.
    """

    path: Path
    inner: str
    mark: str
    mode: int = 0o444
    uid: int = 0
    gid: int = 0

    @property
    def is_private(self) -> bool:
        """Others than its owner and group may not read it."""
        return not self.mode & 0o004


@dataclass(frozen=True, slots=True)
class Source:
    """What a path on this machine holds; `problem` says why Swarm cannot have it."""

    files: tuple[SourceFile, ...] = ()
    problem: str = ""
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class StackFile:
    """
    What `docker stack deploy --compose-file` takes, and what it cannot say.

    `content` is the file as a mapping; secrets that the compose files hold are in it.
    """

    content: Mapping[str, Any]
    losses: tuple[Loss, ...] = field(default=())
