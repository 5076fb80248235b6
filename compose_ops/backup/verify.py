"""Prove that a set is what its manifest says: every archive, member and hash."""

import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

from compose_ops.backup import encryption, helper, repository
from compose_ops.backup.helper import Helper, HelperJob
from compose_ops.backup.manifest import Archive, Manifest
from compose_ops.backup.progress import meter
from compose_ops.backup.repository import BackupSet
from compose_ops.errors import DataError, UsageError
from compose_ops.runtime.context import StackContext

LONGEST_LINE = 64 << 10
"""Bytes that the list of files has for one of them, at most."""


def identities(manifest: Manifest, identity: str, *, needed: bool) -> list[Any]:
    """Return the keys that open an encrypted set; UsageError when one is missing."""
    if not manifest.encrypted:
        return []
    if identity:
        return encryption.identities(Path(identity).expanduser())
    if needed:
        raise UsageError(f"{manifest.id} is encrypted", hint="--identity FILE opens it")
    return []


def stored(kept: BackupSet, manifest: Manifest, archive: Archive) -> Path:
    """Return an archive's file when it is one and as large as it must be."""
    path = kept.path / manifest.archive_name(archive.key)
    size = _plain(kept, path).st_size
    if size != archive.size:
        raise _damaged(kept, f"{path.name} has {size} bytes instead of {archive.size}")
    return path


def _plain(kept: BackupSet, path: Path) -> os.stat_result:
    try:
        state = path.lstat()
    except OSError:
        raise _damaged(kept, f"{path.name} is missing") from None
    if not stat.S_ISREG(state.st_mode) or kept.path.is_symlink():
        raise _damaged(kept, f"{path.name} is no plain file")
    return state


@contextmanager
def source(path: Path, keys: Sequence[Any]) -> Iterator[tuple[Path, Any]]:
    """
    Yield what a helper is given for an archive, and what opens one reading of it.

    A plain archive is given as it is; an encrypted one through a pipe.
    """
    if not keys:
        yield path, _as_it_is
        return
    with tempfile.TemporaryDirectory() as folder:
        pipe = encryption.make_pipe(Path(folder) / "archive.pipe")
        yield pipe, lambda: encryption.opened(pipe, path, keys)


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


def check(stack: StackContext, kept: BackupSet, keys: Sequence[Any]) -> None:
    """
    Read every archive of a set to its end. Raises DataError for the first difference.

    Without *keys* of an encrypted set only the sealed files' hashes are compared.
    """
    manifest = repository.valid_manifest(kept)
    for store in manifest.stores:
        for archive in store.archives:
            check_archive(stack, kept, archive, keys)
            check_list(stack, kept, archive, keys)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    repository.note(kept.path, verified=now)


def check_archive(
    stack: StackContext, kept: BackupSet, archive: Archive, keys: Sequence[Any]
) -> None:
    """Read one archive to its end and compare all that its manifest says of it."""
    manifest = repository.valid_manifest(kept)
    path = stored(kept, manifest, archive)
    if manifest.encrypted:
        with path.open("rb") as file:
            if file_digest(file, "sha256").hexdigest() != archive.sha256:
                raise _damaged(kept, f"{path.name} is not what was written")
        if not keys:
            return
    with source(path, keys) as (end, reading):
        work = HelperJob(run=manifest.id, label=manifest.id, archive=end)
        with helper.helper(stack, work) as talk, reading():
            compare(kept, archive, _read(talk, manifest, archive))


def check_list(
    stack: StackContext, kept: BackupSet, archive: Archive, keys: Sequence[Any]
) -> None:
    """Compare the list of an archive's files with its hash; a restore needs none."""
    manifest = repository.valid_manifest(kept)
    path = kept.path / manifest.listing_name(archive.key)
    _plain(kept, path)
    if manifest.encrypted and not keys:
        return
    with source(path, keys) as (end, reading):
        work = HelperJob(run=manifest.id, label=manifest.id, listing=end)
        with helper.helper(stack, work) as talk, reading():
            most = (archive.files + 1) * LONGEST_LINE
            found = talk.ask("check list", max_bytes=most)
    if found["sha256"] != archive.listing_sha256:
        raise _damaged(kept, f"{path.name} is not what was written")


def _read(talk: Helper, manifest: Manifest, archive: Archive) -> dict[str, Any]:
    with meter(f"verifying {archive.key}", archive.bytes) as report:
        found: dict[str, Any] = talk.ask(
            "check",
            report,
            compression=manifest.compression,
            max_files=archive.files,
            max_bytes=archive.bytes,
        )
    return found


def compare(kept: BackupSet, archive: Archive, found: dict[str, Any]) -> None:
    """Raise DataError when what was read is not what the manifest says."""
    said = (archive.plain_sha256, archive.files, archive.bytes)
    if (found["sha256"], found["files"], found["bytes"]) != said or (
        found["listing"]["sha256"] != archive.listing_sha256
    ):
        raise _damaged(kept, f"the archive of {archive.key} is not what was written")


def _damaged(kept: BackupSet, what: str) -> DataError:
    return DataError(
        f"{kept.id} is damaged: {what}",
        hint="take another set: invoke backups lists them",
    )
