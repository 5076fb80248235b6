"""
One machine at a time changes a project: a lock that lives where the engine is.

It is a volume with a fixed name, which an engine creates once: whoever asks again gets
the first one, with the labels of its holder. The file lock of a machine
(`state/lock.py`) dies with its task. This one cannot: a task of the same machine, which
holds the file lock, takes over what a dead one left; another machine is told who holds
it, since when, and how to remove it.
"""

import os
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from compose_ops.console import say
from compose_ops.docker.api import Volume
from compose_ops.errors import EngineError, EngineUnavailable, Locked
from compose_ops.interrupts import undoing
from compose_ops.project.labels import PREFIX
from compose_ops.state.lock import waited

MACHINE_ID = Path("/etc/machine-id")
LABEL = f"{PREFIX}lock."
MAX_SHOWN = 80  # characters
TRIES = 3
"""How often a lock is asked for that another task of this machine had left."""


class Volumes(Protocol):
    """What the lock asks of an engine."""

    def volume(self, name: str) -> Volume | None: ...

    def create_volume(self, name: str, *, labels: Mapping[str, str]) -> None: ...

    def remove_volume(self, name: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock: `since` is RFC 3339; what others wrote is shown as text."""

    volume: str
    token: str
    machine: str
    host: str
    task: str
    since: str

    @property
    def is_of_this_machine(self) -> bool:
        return self.machine == _machine()

    @property
    def age(self) -> float:
        """Seconds since it was taken, 0 where that cannot be read."""
        try:
            begun = datetime.fromisoformat(self.since)
            return max(0.0, (datetime.now(UTC) - begun).total_seconds())
        except (ValueError, TypeError):
            return 0.0

    def __str__(self) -> str:
        return f"{self.task} on {self.host}, since {self.since}"


@contextmanager
def locked(engine: Volumes, project: str, *, task: str) -> Iterator[None]:
    """
    Hold the engine's lock of a project, for who holds the lock of this machine.

    It costs three requests, or four, of 0.02 s each on an engine of this machine.
    Raises Locked with the holder and the way on.
    """
    name, token = volume_name(project), uuid.uuid4().hex
    try:
        _take(engine, name, token, project, task)
        yield
    finally:
        with undoing(f"releasing the lock {name}"):
            _release(engine, name, token)


def holder(engine: Volumes, project: str) -> Holder | None:
    """Return who holds the lock of a project, None where nobody does."""
    found = engine.volume(volume_name(project))
    return _holder(found) if found else None


def volume_name(project: str) -> str:
    """
    Return the name of the volume that is the lock of a project.

    >>> volume_name("shop")
    'compose-ops-lock-shop'
    """
    return f"compose-ops-lock-{project}"


def _take(engine: Volumes, name: str, token: str, project: str, task: str) -> None:
    held = _other(engine, name, token, task)
    if held is None or waited(
        lambda: _other(engine, name, token, task) is None, str(held)
    ):
        return
    raise Locked(
        f"another machine is changing {project}: {held}",
        hint="wait until it ends; where that machine or its task is gone for good: "
        f"docker volume rm {name}",
    )


def _other(engine: Volumes, name: str, token: str, task: str) -> Holder | None:
    """Take the lock, also over a dead task of this machine; return who else has it."""
    for _ in range(TRIES):
        engine.create_volume(name, labels=_labels(token, task))
        found = engine.volume(name)
        held = _holder(found) if found else None
        if held is None or held.token == token:
            return None
        if not held.is_of_this_machine:
            return held
        engine.remove_volume(name)
    return None


def _release(engine: Volumes, name: str, token: str) -> None:
    """Remove the lock if it is this task's; what goes wrong is left to the next one."""
    try:
        found = engine.volume(name)
        if found is not None and _holder(found).token == token:
            engine.remove_volume(name)
    except (EngineError, EngineUnavailable) as refused:
        say(f"warning: the lock {name} is not removed: {refused.message}")


def _labels(token: str, task: str) -> dict[str, str]:
    return {
        f"{LABEL}token": token,
        f"{LABEL}machine": _machine(),
        f"{LABEL}host": socket.gethostname(),
        f"{LABEL}task": f"{task} (pid {os.getpid()})",
        f"{LABEL}since": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _holder(volume: Volume) -> Holder:
    def text(key: str) -> str:
        found = str(volume.labels.get(LABEL + key) or "unknown")
        return "".join(c if c.isprintable() else "?" for c in found)[:MAX_SHOWN]

    return Holder(
        volume.name,
        volume.labels.get(f"{LABEL}token", ""),
        volume.labels.get(f"{LABEL}machine", ""),
        text("host"),
        text("task"),
        text("since"),
    )


def _machine() -> str:
    """Return a mark of this machine: a copy of it has another name, at least."""
    try:
        own = MACHINE_ID.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        own = ""
    return sha256(f"{own}/{socket.gethostname()}".encode()).hexdigest()[:32]
