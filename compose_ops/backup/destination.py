"""What a destination of backups can do, whatever kind it is."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from compose_ops.backup.data_mounts import DataMount
from compose_ops.backup.manifest import Archive, Manifest
from compose_ops.backup.repository import BackupSet
from compose_ops.backup.restore_targets import RestoreTarget
from compose_ops.backup.store_backup import StoreBackup
from compose_ops.backup.volume_backup import VolumeBackup
from compose_ops.docker.api import Volume


class NewSet(Protocol):
    """A set that is written to one destination; it exists once it is finished."""

    @property
    def compression(self) -> str:
        """How its archives are compressed, as the manifest says it."""

    @property
    def encrypted(self) -> bool:
        """Whether an identity opens its archives."""

    @property
    def partial(self) -> Path | None:
        """The folder of what is not finished, None where nothing has to be removed."""

    def make(self) -> None:
        """Make what it is written into. DataError where that cannot be written."""

    def opened(
        self,
        helpers: ExitStack,
        item: StoreBackup,
        *,
        mount: DataMount,
        volume: Volume | None,
    ) -> VolumeBackup:
        """Start the helper of one folder, which ends with *helpers*."""

    def check_space(self, found: Sequence[VolumeBackup]) -> None:
        """Raise DataError when the set may not fit, as far as one can tell."""

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest last, which makes the set exist."""


class Destination(Protocol):
    """A place with sets of projects."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    @property
    def keeps_order(self) -> bool:
        """Whether files are read in the order that a store asks for."""

    def prepare(self) -> None:
        """Make ready for a new set what may be missing. DataError, Locked."""

    def listed(self, project: str) -> list[BackupSet]:
        """Return the sets of a project, newest first; unreadable ones too."""

    def begin(self, run: str, *, compression: str, keys: tuple[Any, ...]) -> NewSet:
        """Return the set *run*, nothing of which is made yet."""

    def next_run(self, project: str, now: datetime) -> str:
        """Return the id of the next set; its number grows whatever the clock says."""

    def note(self, kept: BackupSet, **values: Any) -> None:
        """Add to a set's record: when it was verified, drilled, and how it went."""

    def check(self, kept: BackupSet, keys: Sequence[Any]) -> None:
        """Read a set to its end, and note that. DataError for the first difference."""

    def check_archive(
        self, kept: BackupSet, archive: Archive, keys: Sequence[Any]
    ) -> None:
        """Read one archive of a set to its end. DataError for a difference."""

    def stage(
        self, kept: BackupSet, part: RestoreTarget, keys: Sequence[Any], *, restore: str
    ) -> None:
        """Unpack an archive beside the data in its volume, and mend it there."""

    def remove(self, project: str, doomed: Sequence[BackupSet]) -> None:
        """Remove sets, and what removals and copies that died have left."""
