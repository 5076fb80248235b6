"""A restic repository with sets: each is its snapshots, and a manifest written last."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from compose_ops.backup import (
    helper,
    restic_access,
    restic_sets,
    transaction,
    volume_snapshot,
)
from compose_ops.backup import manifest as manifests
from compose_ops.backup.addresses import RepositoryAddress
from compose_ops.backup.data_mounts import DataMount
from compose_ops.backup.helper import Helper, HelperJob
from compose_ops.backup.manifest import RESTIC, Archive, Manifest
from compose_ops.backup.progress import meter
from compose_ops.backup.repository import BackupSet, next_id, valid_manifest
from compose_ops.backup.restic_access import NotMadeYet
from compose_ops.backup.restic_sets import MANIFEST, RECORD, TEXT, Snapshot
from compose_ops.backup.restore_targets import RestoreTarget
from compose_ops.backup.store_backup import StoreBackup
from compose_ops.backup.volume_backup import VolumeBackup
from compose_ops.console import say
from compose_ops.docker.api import Volume
from compose_ops.errors import ComposeOpsError, DataError
from compose_ops.runtime.context import StackContext

LEFT_OVER = timedelta(days=1)
"""Snapshots of no set that are younger may be of a backup from another machine."""


@dataclass(frozen=True, slots=True)
class ResticSet:
    """A set that is written to a repository."""

    place: "ResticDestination"
    run: str

    compression = RESTIC
    encrypted = False
    partial = None

    def make(self) -> None:
        """Leave it to restic: what it is written into was prepared."""

    def opened(
        self,
        helpers: ExitStack,
        item: StoreBackup,
        *,
        mount: DataMount,
        volume: Volume | None,
    ) -> VolumeBackup:
        stack = self.place.stack
        return volume_snapshot.opened(
            stack,
            helpers,
            item,
            mount=mount,
            volume=volume,
            repository=self.place.address,
            run=self.run,
            tags=(*restic_sets.tags(stack.project, self.run), restic_sets.DATA),
        )

    def check_space(self, found: Sequence[VolumeBackup]) -> None:
        """Leave it to restic: nobody can tell what of the data is new."""

    def finish(self, manifest: Manifest) -> None:
        text = manifests.readable(manifest)
        with self.place.talk(self.run) as talk:
            talk.at_repository("check")
            self.place.write(talk, self.run, MANIFEST, text)


@dataclass(frozen=True, slots=True)
class ResticDestination:
    """The sets in one repository."""

    stack: StackContext
    address: RepositoryAddress

    keeps_order = False

    @property
    def name(self) -> str:
        return self.address.name

    @contextmanager
    def talk(
        self,
        run: str = "look",
        *,
        volume: str = "",
        changes: bool = False,
        source: RepositoryAddress | None = None,
    ) -> Iterator[Helper]:
        """Yield a helper with the repository; its refusals are explained."""
        restic_access.check(self.stack, self.address)
        work = HelperJob(
            run=run,
            label=self.name,
            volume=volume,
            changes=changes,
            repository=self.address,
            source=source,
        )
        with (
            restic_access.explained(self.stack, self.address),
            helper.helper(self.stack, work) as talk,
        ):
            yield talk

    def prepare(self) -> None:
        """
        Make the repository when it is not there, and drop locks of tasks that died.

        Raises DataError where a repository that had sets is missing, Locked where
        somebody else holds a lock.
        """
        restic_access.make_folder(self.stack, self.address)
        create = not restic_access.had_sets(self.stack, self.address)
        with self.talk() as talk:
            talk.at_repository("open", create=create)
            locks = talk.at_repository("locks")["locks"]
            if restic_access.drops(self.stack, self.address, locks):
                talk.at_repository("unlock")

    def listed(self, project: str) -> list[BackupSet]:
        folder = self.address.folder
        if folder and not folder.is_dir():
            if restic_access.had_sets(self.stack, self.address):
                raise restic_access.gone(self.address)
            return []
        try:
            return self._listed(project)
        except NotMadeYet:
            return []

    def _listed(self, project: str) -> list[BackupSet]:
        with self.talk() as talk:
            found, texts = self._read(talk, project)
        return restic_sets.sets(self.name, project, found, texts)

    def _read(
        self, talk: Helper, project: str
    ) -> tuple[Sequence[Snapshot], Mapping[str, str]]:
        """Return the snapshots of a project, and the texts of sets among them."""
        cache = restic_sets.Cache.of(self.stack, self.address)
        known = cache.known()
        found = talk.at_repository(
            "list", tags=restic_sets.tags(project), name=TEXT, known=list(known)
        )
        snapshots = found["snapshots"]
        return snapshots, cache.filled(snapshots, found["texts"], known)

    def next_run(self, project: str, now: datetime) -> str:
        return next_id([kept.id for kept in self.listed(project)], now)

    def begin(self, run: str, *, compression: str, keys: tuple[Any, ...]) -> ResticSet:
        del compression, keys
        return ResticSet(self, run)

    def write(self, talk: Helper, run: str, kind: str, text: str) -> None:
        """Write a text of a set as a snapshot of its own."""
        project = self.stack.project
        tags = [*restic_sets.tags(project, run), kind]
        talk.at_repository("write", text=text, name=TEXT, host=project, tags=tags)

    def note(self, kept: BackupSet, **values: Any) -> None:
        """
        Add to the set's record as it is by now.

        Where that cannot be written a warning says so.
        """
        try:
            with self.talk() as talk:
                found, texts = self._read(talk, self.stack.project)
                text = restic_sets.noted(kept.id, found, texts, values)
                self.write(talk, kept.id, RECORD, text)
        except ComposeOpsError as refused:
            why = f"cannot be written: {refused.message}"
            say(f"warning: the record of {kept.id} {why}")

    def check(self, kept: BackupSet, keys: Sequence[Any]) -> None:
        for store in valid_manifest(kept).stores:
            for archive in store.archives:
                self.check_archive(kept, archive, keys)
        self.note(kept, verified=datetime.now(UTC).isoformat(timespec="seconds"))

    def check_archive(
        self, kept: BackupSet, archive: Archive, keys: Sequence[Any]
    ) -> None:
        del keys
        snapshot = _snapshot(kept, archive)
        with self.talk() as talk, meter(f"verifying {archive.key}", archive.bytes) as r:
            found = talk.at_repository(
                "read",
                r,
                snapshot=snapshot,
                tree=archive.plain_sha256,
            )
        if (found["files"], found["bytes"]) != (archive.files, archive.bytes):
            raise DataError(
                f"{kept.id} is damaged: its snapshot of {archive.key} is not what was "
                "written",
                hint="take another set: invoke backups lists them",
            )

    def stage(
        self, kept: BackupSet, part: RestoreTarget, keys: Sequence[Any], *, restore: str
    ) -> None:
        del keys
        archive = part.archive
        snapshot = _snapshot(kept, archive)
        with self.talk(restore, volume=part.volume, changes=True) as talk:
            with meter(archive.key, archive.bytes) as report:
                talk.at_repository(
                    "stage",
                    report,
                    restore=restore,
                    snapshot=snapshot,
                    tree=archive.plain_sha256,
                    max_files=archive.files,
                    max_bytes=archive.bytes,
                )
            transaction.mend(talk, restore, part)

    def remove(self, project: str, doomed: Sequence[BackupSet]) -> None:
        """Forget the manifests first: a set that is half removed is none."""
        with self.talk() as talk:
            found = talk.at_repository(
                "list", tags=restic_sets.tags(project), name="", known=()
            )["snapshots"]
            since = datetime.now(UTC) - LEFT_OVER
            groups = restic_sets.doomed(found, {k.id for k in doomed}, before=since)
            if any(groups):
                talk.at_repository("forget", snapshots=[g for g in groups if g])


def _snapshot(kept: BackupSet, archive: Archive) -> str:
    """Return the snapshot of an archive; DataError where somebody forgot it."""
    if archive.key not in kept.snapshots:
        raise DataError(
            f"{kept.id} is damaged: its snapshot of {archive.key} is missing",
            hint="take another set: invoke backups lists them",
        )
    return kept.snapshots[archive.key]
