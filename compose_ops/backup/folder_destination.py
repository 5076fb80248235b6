"""A folder of sets: archives that tar and zstd open."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from compose_ops.backup import (
    helper,
    preconditions,
    repository,
    transaction,
    verify,
    volume_archive,
    volume_backup,
)
from compose_ops.backup.data_mounts import DataMount
from compose_ops.backup.helper import HelperJob
from compose_ops.backup.manifest import Archive, Manifest
from compose_ops.backup.repository import BackupSet
from compose_ops.backup.restore_targets import RestoreTarget
from compose_ops.backup.store_backup import StoreBackup
from compose_ops.backup.volume_archive import ArchiveFormat
from compose_ops.backup.volume_backup import VolumeBackup
from compose_ops.console import shows_progress
from compose_ops.docker.api import Volume
from compose_ops.runtime.context import StackContext


@dataclass(frozen=True, slots=True)
class FolderSet:
    """A set that is written to a folder under a partial name."""

    stack: StackContext
    dest: Path
    shape: ArchiveFormat

    @property
    def compression(self) -> str:
        return self.shape.compression

    @property
    def encrypted(self) -> bool:
        return bool(self.shape.keys)

    @property
    def partial(self) -> Path | None:
        return self.shape.partial

    def make(self) -> None:
        repository.make(self.shape.partial, encrypted=self.encrypted)

    def opened(
        self,
        helpers: ExitStack,
        item: StoreBackup,
        *,
        mount: DataMount,
        volume: Volume | None,
    ) -> VolumeBackup:
        return volume_archive.opened(
            self.stack, helpers, item, mount=mount, volume=volume, shape=self.shape
        )

    def check_space(self, found: Sequence[VolumeBackup]) -> None:
        """
        Raise DataError when the set may not fit.

        To weigh every file takes as long as to read a small one: only where it matters.
        """
        ratios = repository.ratios(self.dest, self.stack.project)
        if shows_progress() or not preconditions.fits(self.dest, _occupied(found), {}):
            volume_backup.weighed(found)
        preconditions.check_space(self.dest, _occupied(found), ratios)

    def finish(self, manifest: Manifest) -> None:
        final = repository.finish(self.shape.partial, manifest)
        repository.note(final, verified=manifest.created)


def _occupied(found: Sequence[VolumeBackup]) -> dict[str, int]:
    return {copying.key: copying.occupied for copying in found}


@dataclass(frozen=True, slots=True)
class FolderDestination:
    """The sets in one folder."""

    stack: StackContext
    path: Path

    keeps_order = True

    @property
    def name(self) -> str:
        return str(self.path)

    def prepare(self) -> None:
        """Make nothing yet: a set makes its folder."""

    def listed(self, project: str) -> list[BackupSet]:
        return repository.listed(self.path, project)

    def next_run(self, project: str, now: datetime) -> str:
        path = repository.next_path(self.path, project, now)
        return path.name.removeprefix(".partial-")

    def begin(self, run: str, *, compression: str, keys: tuple[Any, ...]) -> FolderSet:
        folder = repository.folder(self.path, self.stack.project)
        shape = ArchiveFormat(folder / f".partial-{run}", compression, keys)
        return FolderSet(self.stack, self.path, shape)

    def note(self, kept: BackupSet, **values: Any) -> None:
        repository.note(kept.path, **values)

    def check(self, kept: BackupSet, keys: Sequence[Any]) -> None:
        verify.check(self.stack, kept, keys)

    def check_archive(
        self, kept: BackupSet, archive: Archive, keys: Sequence[Any]
    ) -> None:
        verify.check_archive(self.stack, kept, archive, keys)

    def stage(
        self, kept: BackupSet, part: RestoreTarget, keys: Sequence[Any], *, restore: str
    ) -> None:
        manifest = repository.valid_manifest(kept)
        path = verify.stored(kept, manifest, part.archive)
        with verify.source(path, keys) as (end, reading):
            work = HelperJob(
                run=restore,
                label=part.volume,
                volume=part.volume,
                archive=end,
                changes=True,
            )
            with helper.helper(self.stack, work) as talk:
                with reading():
                    transaction.unpack(talk, restore, manifest, part)
                transaction.mend(talk, restore, part)

    def remove(self, project: str, doomed: Sequence[BackupSet]) -> None:
        repository.remove_rest(self.path, project)
        for kept in doomed:
            repository.remove(kept)
