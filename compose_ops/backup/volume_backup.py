"""One folder with data on its way into a set, whatever kind of destination has that."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from compose_ops.backup import preconditions
from compose_ops.backup.data_mounts import DataMount
from compose_ops.backup.helper import Helper
from compose_ops.backup.manifest import Archive
from compose_ops.backup.store_backup import StoreBackup
from compose_ops.console import say
from compose_ops.docker.api import Volume
from compose_ops.errors import DataError

ATTEMPTS = 3


@dataclass(slots=True)
class VolumeBackup(ABC):
    """
    One folder on its way; `result` is what the helper found in it.

    `volume` is what the engine says of it, None for a folder of the host.
    """

    item: StoreBackup
    mount: DataMount
    volume: Volume | None
    helper: Helper
    occupied: int = 0
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.mount.key

    def begin_measuring(self) -> None:
        """Let the helper measure the folder; `measured` waits for it."""
        links = self.item.paths(self.key, self.item.policy.links)
        self.helper.begin("measure", links=links)

    @abstractmethod
    def copy_once(self) -> dict[str, Any]:
        """Copy the folder; return what the helper says, "settled" among it."""

    @abstractmethod
    @contextmanager
    def being_reread(self) -> Iterator[None]:
        """Let the copy be read back in the block; `finish_rereading` waits."""
        yield

    @abstractmethod
    def finish_rereading(self) -> None:
        """Keep what the copy holds; DataError when it cannot be read back."""

    @abstractmethod
    def archive(self) -> Archive:
        """Return what the manifest says of the folder, copied and read back."""


def measured(copying: VolumeBackup) -> None:
    """
    Note what the folder can hold at most.

    Raises DataError when that is nothing, or when some of the data lies elsewhere.
    """
    found = copying.helper.finish()
    if not (copying.item.policy.session and copying.item.running):
        preconditions.check_holds_data(copying.mount.source, empty=found["empty"])
    preconditions.check_links(copying.item.policy, found["links"])
    copying.occupied = found["disk"]
    copying.item.changed = max(copying.item.changed, found.get("changed", 0.0))


def weighed(found: Sequence[VolumeBackup]) -> None:
    """Note what each volume holds: its size on the disk, file by file."""
    for copying in found:
        copying.helper.begin("weigh")
    for copying in found:
        copying.occupied = copying.helper.finish()["bytes"]


def copy(copying: VolumeBackup) -> None:
    """Copy the folder; DataError when it cannot be, or files come and go."""
    say(f"copying {copying.mount.source} ({copying.item.level})")
    for _ in range(ATTEMPTS):
        copying.result = copying.copy_once()
        if copying.result["settled"]:
            return
    raise DataError(
        f"files of {copying.mount.source} came and went in each of {ATTEMPTS} copies",
        hint="--consistency stop stops the store for the copy",
    )


def check_rereading(copying: VolumeBackup) -> None:
    """Refuse a copy that holds nothing: a session may write only when it begins."""
    empty = copying.result["files"] <= 1
    preconditions.check_holds_data(copying.mount.source, empty=empty)


def described(copying: VolumeBackup, **found: Any) -> Archive:
    """Return what the manifest says of a folder: *found* is of its copy."""
    volume = copying.volume
    return Archive(
        key=copying.key,
        kind="bind" if copying.mount.is_bind else "volume",
        volume=copying.mount.source,
        driver=volume.driver if volume else "",
        options=preconditions.without_passwords(volume.options if volume else {}),
        labels=dict(volume.labels) if volume else {},
        files=copying.result["files"],
        bytes=copying.result["bytes"],
        **found,
    )
