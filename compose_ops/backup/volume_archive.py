"""One folder's way into a set: a helper container, an archive, a list of files."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compose_ops.backup import helper, preconditions
from compose_ops.backup.archive_files import ArchiveFiles
from compose_ops.backup.data_mounts import DataMount
from compose_ops.backup.helper import Helper, HelperJob
from compose_ops.backup.manifest import Archive
from compose_ops.backup.progress import meter
from compose_ops.backup.quiesce import CHANGES
from compose_ops.backup.store_backup import StoreBackup
from compose_ops.console import say
from compose_ops.docker.api import Volume
from compose_ops.errors import DataError
from compose_ops.runtime.context import StackContext

ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class ArchiveFormat:
    """Where and how archives are written; with *keys* they are encrypted."""

    partial: Path
    compression: str
    keys: tuple[Any, ...]


@dataclass(slots=True)
class VolumeBackup:
    """
    One folder on its way; `result` is what the helper found in it.

    `volume` is what the engine says of it, None for a folder of the host.
    """

    item: StoreBackup
    mount: DataMount
    volume: Volume | None
    helper: Helper
    files: ArchiveFiles
    occupied: int = 0
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.mount.key


def opened(
    stack: StackContext,
    helpers: ExitStack,
    item: StoreBackup,
    *,
    mount: DataMount,
    volume: Volume | None,
    shape: ArchiveFormat,
) -> VolumeBackup:
    """Start the folder's helper and let it measure; `measured` waits for it."""
    files = ArchiveFiles(shape.partial, mount.key, shape.compression, shape.keys)
    files.make()
    work = HelperJob(
        volume=mount.source,
        held=bool(item.policy.session),
        run=shape.partial.name.removeprefix(".partial-"),
        label=item.policy.service,
        archive=files.archive_end,
        listing=files.listing_end,
        fills=True,
    )
    talk = helpers.enter_context(helper.helper(stack, work))
    talk.begin("measure", links=item.paths(mount.key, item.policy.links))
    return VolumeBackup(item, mount, volume, talk, files)


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


def weighed(found: Sequence[VolumeBackup]) -> None:
    """Note what each volume holds: its size on the disk, file by file."""
    for copying in found:
        copying.helper.begin("weigh")
    for copying in found:
        copying.occupied = copying.helper.finish()["bytes"]


def copy(copying: VolumeBackup) -> None:
    """Write the archive; DataError when it cannot be, or files come and go."""
    level = copying.item.level
    say(f"copying {copying.mount.source} ({level})")
    for _ in range(ATTEMPTS):
        copying.result = _copied(copying)
        if copying.result["settled"]:
            return
    raise DataError(
        f"files of {copying.mount.source} came and went in each of {ATTEMPTS} copies",
        hint="--consistency stop stops the store for the copy",
    )


def _copied(copying: VolumeBackup) -> dict[str, Any]:
    policy, level = copying.item.policy, copying.item.level
    native = level == "native"
    with copying.files.being_written(), meter(copying.key, copying.occupied) as report:
        session = copying.item.session if native else None
        copying.helper.begin(
            "copy",
            compression=copying.files.compression,
            exclude=copying.item.paths(copying.key, policy.exclude) if native else (),
            order=copying.item.paths(copying.key, policy.order) if native else (),
            changes=CHANGES[level],
            session=session is not None,
            after=copying.item.paths(copying.key, policy.after),
        )
        found = copying.helper.finish(
            report, lambda: copying.item.end_session(copying.key)
        )
        if session is not None:
            session.close()
    return found


@contextmanager
def being_reread(copying: VolumeBackup) -> Iterator[None]:
    """Let the helper read the archive back and list it; `finish_rereading` waits."""
    with copying.files.being_read():
        copying.helper.begin("reread", compression=copying.files.compression, last=True)
        yield


def finish_rereading(copying: VolumeBackup) -> None:
    """Keep what the archive holds; DataError when it cannot be read back."""
    with meter(f"verifying {copying.key}", copying.occupied) as report:
        copying.result |= copying.helper.finish(report)
    # A session may write what it keeps only when it begins.
    empty = copying.result["files"] <= 1
    preconditions.check_holds_data(copying.mount.source, empty=empty)


def archive(copying: VolumeBackup) -> Archive:
    """Return what the manifest says of a volume that was copied and read back."""
    volume, found = copying.volume, copying.result
    stored, size = copying.files.stored(found["sha256"], found["size"])
    return Archive(
        key=copying.key,
        kind="bind" if copying.mount.is_bind else "volume",
        volume=copying.mount.source,
        driver=volume.driver if volume else "",
        options=preconditions.without_passwords(volume.options if volume else {}),
        labels=dict(volume.labels) if volume else {},
        sha256=stored,
        size=size,
        plain_sha256=found["sha256"],
        files=found["files"],
        bytes=found["bytes"],
        listing_sha256=found["listing"]["sha256"],
    )
