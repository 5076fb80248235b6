"""A folder with data becomes an archive in a folder of sets, and a list of files."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compose_ops.backup import helper, volume_backup
from compose_ops.backup.archive_files import ArchiveFiles
from compose_ops.backup.data_mounts import DataMount
from compose_ops.backup.helper import HelperJob
from compose_ops.backup.manifest import Archive
from compose_ops.backup.progress import meter
from compose_ops.backup.quiesce import CHANGES
from compose_ops.backup.store_backup import StoreBackup
from compose_ops.backup.volume_backup import VolumeBackup
from compose_ops.docker.api import Volume
from compose_ops.runtime.context import StackContext


@dataclass(frozen=True, slots=True)
class ArchiveFormat:
    """Where and how archives are written; with *keys* they are encrypted."""

    partial: Path
    compression: str
    keys: tuple[Any, ...]


@dataclass(slots=True)
class ArchiveBackup(VolumeBackup):
    """A folder that becomes an archive."""

    files: ArchiveFiles = None  # type: ignore[assignment]

    def copy_once(self) -> dict[str, Any]:
        policy, native = self.item.policy, self.item.level == "native"
        with self.files.being_written(), meter(self.key, self.occupied) as report:
            session = self.item.session if native else None
            self.helper.begin(
                "copy",
                compression=self.files.compression,
                exclude=self.item.paths(self.key, policy.exclude) if native else (),
                order=self.item.paths(self.key, policy.order) if native else (),
                changes=CHANGES[self.item.level],
                session=session is not None,
                after=self.item.paths(self.key, policy.after),
            )
            found = self.helper.finish(report, lambda: self.item.end_session(self.key))
            if session is not None:
                session.close()
        return found

    @contextmanager
    def being_reread(self) -> Iterator[None]:
        with self.files.being_read():
            self.helper.begin("reread", compression=self.files.compression, last=True)
            yield

    def finish_rereading(self) -> None:
        with meter(f"verifying {self.key}", self.occupied) as report:
            self.result |= self.helper.finish(report)
        volume_backup.check_rereading(self)

    def archive(self) -> Archive:
        found = self.result
        stored, size = self.files.stored(found["sha256"], found["size"])
        return volume_backup.described(
            self,
            sha256=stored,
            size=size,
            plain_sha256=found["sha256"],
            listing_sha256=found["listing"]["sha256"],
        )


def opened(
    stack: StackContext,
    helpers: ExitStack,
    item: StoreBackup,
    *,
    mount: DataMount,
    volume: Volume | None,
    shape: ArchiveFormat,
) -> ArchiveBackup:
    """Start the folder's helper and let it measure."""
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
    made = ArchiveBackup(item, mount, volume, talk, files=files)
    made.begin_measuring()
    return made
