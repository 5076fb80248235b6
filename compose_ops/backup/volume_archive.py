"""One volume's way into a set: a helper container, an archive, a list of files."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compose_ops.backup import helper, preconditions
from compose_ops.backup.archive_files import ArchiveFiles
from compose_ops.backup.helper import Helper, HelperJob
from compose_ops.backup.manifest import Archive
from compose_ops.backup.progress import meter
from compose_ops.backup.quiesce import CHANGES, StoreBackup
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
    """One volume on its way; `result` is what the helper found in it."""

    item: StoreBackup
    key: str
    volume: Volume
    helper: Helper
    files: ArchiveFiles
    occupied: int = 0
    result: dict[str, Any] = field(default_factory=dict)


def opened(
    stack: StackContext,
    helpers: ExitStack,
    item: StoreBackup,
    *,
    volume: Volume,
    key: str,
    shape: ArchiveFormat,
) -> VolumeBackup:
    """Start the volume's helper and let it measure; `measured` waits for it."""
    files = ArchiveFiles(shape.partial, key, shape.compression, shape.keys)
    files.make()
    work = HelperJob(
        volume=volume.name,
        run=shape.partial.name.removeprefix(".partial-"),
        label=item.policy.service,
        archive=files.archive_end,
        listing=files.listing_end,
        fills=True,
    )
    talk = helpers.enter_context(helper.helper(stack, work))
    talk.begin("measure")
    return VolumeBackup(item, key, volume, talk, files)


def measured(copying: VolumeBackup) -> None:
    """Note what the volume can hold at most; DataError when that is nothing."""
    found = copying.helper.finish()
    preconditions.check_holds_data(copying.volume.name, empty=found["empty"])
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
    say(f"copying {copying.volume.name} ({level})")
    for _ in range(ATTEMPTS):
        copying.result = _copied(copying)
        if copying.result["settled"]:
            return
    raise DataError(
        f"files of {copying.volume.name} came and went in each of {ATTEMPTS} copies",
        hint="--consistency stop stops the store for the copy",
    )


def _copied(copying: VolumeBackup) -> dict[str, Any]:
    policy, level = copying.item.policy, copying.item.level
    native = level == "native"
    with copying.files.being_written(), meter(copying.key, copying.occupied) as report:
        found: dict[str, Any] = copying.helper.ask(
            "copy",
            report,
            compression=copying.files.compression,
            exclude=policy.exclude if native else (),
            order=policy.order if native else (),
            changes=CHANGES[level],
        )
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


def archive(copying: VolumeBackup) -> Archive:
    """Return what the manifest says of a volume that was copied and read back."""
    volume, found = copying.volume, copying.result
    stored, size = copying.files.stored(found["sha256"], found["size"])
    return Archive(
        key=copying.key,
        volume=volume.name,
        driver=volume.driver,
        options=preconditions.without_passwords(volume.options),
        labels=dict(volume.labels),
        sha256=stored,
        size=size,
        plain_sha256=found["sha256"],
        files=found["files"],
        bytes=found["bytes"],
        listing_sha256=found["listing"]["sha256"],
    )
