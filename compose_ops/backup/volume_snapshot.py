"""A folder with data becomes a snapshot in a restic repository."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from compose_ops.backup import helper, volume_backup
from compose_ops.backup.addresses import RepositoryAddress
from compose_ops.backup.data_mounts import DataMount
from compose_ops.backup.helper import HelperJob
from compose_ops.backup.manifest import Archive
from compose_ops.backup.progress import meter
from compose_ops.backup.quiesce import CHANGES
from compose_ops.backup.store_backup import StoreBackup
from compose_ops.backup.volume_backup import VolumeBackup
from compose_ops.docker.api import Volume
from compose_ops.runtime.context import StackContext


@dataclass(slots=True)
class SnapshotBackup(VolumeBackup):
    """A folder that becomes a snapshot with `tags`."""

    project: str = ""
    tags: tuple[str, ...] = ()

    def copy_once(self) -> dict[str, Any]:
        policy, native = self.item.policy, self.item.level == "native"
        with meter(self.key, self.occupied) as report:
            self.helper.begin_at_repository(
                "keep",
                host=f"{self.project}.{self.key}",
                tags=self.tags,
                exclude=self.item.paths(self.key, policy.exclude) if native else (),
                changes=CHANGES[self.item.level],
            )
            return self.helper.finish(report)

    @contextmanager
    def being_reread(self) -> Iterator[None]:
        yield  # what the snapshot lists was read with the copy

    def finish_rereading(self) -> None:
        volume_backup.check_rereading(self)

    def archive(self) -> Archive:
        """
        Return what the manifest says of the folder.

        A snapshot has no file of its own: the hash of its tree stands for all that it
        holds. Its id does not; a copy in another repository has another.
        """
        found = self.result
        return volume_backup.described(
            self,
            sha256=found["tree"],
            size=found["size"],
            plain_sha256=found["tree"],
            listing_sha256=found["tree"],
        )


def opened(
    stack: StackContext,
    helpers: ExitStack,
    item: StoreBackup,
    *,
    mount: DataMount,
    volume: Volume | None,
    repository: RepositoryAddress,
    run: str,
    tags: tuple[str, ...],
) -> SnapshotBackup:
    """Start the folder's helper, which has the repository, too; let it measure."""
    work = HelperJob(
        volume=mount.source, run=run, label=item.policy.service, repository=repository
    )
    talk = helpers.enter_context(helper.helper(stack, work))
    made = SnapshotBackup(
        item, mount, volume, talk, project=stack.project, tags=(*tags, mount.key)
    )
    made.begin_measuring()
    return made
