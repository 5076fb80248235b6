"""The sets in a destination: made under a partial name, listed, chosen, removed."""

import errno
import json
import os
import re
import shlex
import shutil
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from compose_ops.backup import manifest as manifests
from compose_ops.backup import untrusted
from compose_ops.backup.manifest import LAST_NUMBER, MAX_BYTES, SET_ID, UNTRUE, Manifest
from compose_ops.console import say
from compose_ops.errors import DataError, UsageError
from compose_ops.project import sharing
from compose_ops.project.env_file import write_private
from compose_ops.state import decode

MANIFEST = "manifest.json"
RECORD = "record.json"
LONGEST = 300  # characters that are shown of a record's text
PROVEN = "proven"
"""The result of a drill that proved a set, as the set's record has it."""
REMOVED = ".removed-"
PARTIAL = re.compile(r"\.partial-" + SET_ID.pattern)
_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class BackupSet:
    """
    A set in a destination; `manifest` is None when it is invalid.

    `fault` says why, or which archive is not as the manifest has it: such a set is not
    verified, whatever its record says. A set in a repository is `written` until it was
    read; `snapshots` are those of its volumes, `text` that of its manifest, and its
    `path` is only a name.
    """

    path: Path
    manifest: Manifest | None
    fault: str
    verified: datetime | None
    drilled: datetime | None
    drill: dict[str, str] | None
    written: bool = False
    snapshots: Mapping[str, str] = field(default_factory=dict)
    text: str = ""

    @property
    def id(self) -> str:
        return self.path.name


def folder(dest: Path, project: str) -> Path:
    """Return where a project's sets lie; UsageError for what is no project's name."""
    if not _PROJECT.fullmatch(project):
        raise UsageError(f"{project!r} is not a project name", hint="see .env")
    return dest / project


def listed(dest: Path, project: str) -> list[BackupSet]:
    """Return the sets of a project, newest first; unreadable ones too."""
    directory = folder(dest, project)
    try:
        found = list(directory.iterdir()) if directory.is_dir() else []
    except OSError as refused:
        raise DataError(
            f"{directory} cannot be read: {refused.strerror}",
            hint="--dest DIR names another destination",
        ) from refused
    names = [path for path in found if SET_ID.fullmatch(path.name)]
    return sorted((load(path) for path in names), key=by_age, reverse=True)


def load(path: Path) -> BackupSet:
    """Read one set; what is wrong with it is in its `fault`."""
    try:
        found: Manifest | None = manifests.read(path / MANIFEST)
        fault = "" if found and found.id == path.name else "its id is another set's"
    except DataError as wrong:
        found, fault = None, wrong.message
    found = None if fault else found
    fault = fault or _amiss(path, found)
    record = _record(path)
    return BackupSet(
        path=path,
        manifest=found,
        fault=fault,
        verified=None if fault else timestamp(record.get("verified")),
        drilled=timestamp(record.get("drilled")),
        drill=drill_of(record.get("drill")),
    )


def _amiss(path: Path, manifest: Manifest | None) -> str:
    """Say which archive is missing or has another size, as far as a look tells."""
    for store in manifest.stores if manifest else ():
        for archive in store.archives:
            name = manifest.archive_name(archive.key) if manifest else ""
            try:
                state = (path / name).lstat()
            except OSError:
                return f"{name} is missing"
            if not stat.S_ISREG(state.st_mode) or state.st_size != archive.size:
                return f"{name} is not what was written"
    return ""


def sequence(set_id: str) -> int:
    """
    Return the number of a set, by which all sets of a project have one order.

    >>> sequence("20261128T010203Z-0007")
    7
    """
    return int(set_id.rpartition("-")[2])


def by_age(backup_set: BackupSet) -> tuple[int, str]:
    """Return what sets are sorted by: the number in the id, which only grows."""
    return sequence(backup_set.id), backup_set.id


def next_path(dest: Path, project: str, now: datetime) -> Path:
    """
    Return the partial name of the next set; nothing is made yet.

    The number in it grows even when the clock is set back.
    """
    directory = folder(dest, project)
    try:
        names = (
            [path.name for path in directory.iterdir()] if directory.exists() else []
        )
    except OSError as refused:
        raise unwritable(dest, refused) from refused
    return directory / f".partial-{next_id(names, now)}"


def next_id(names: Iterable[str], now: datetime) -> str:
    """
    Return the id of a set after those whose *names* end in their ids.

    A number that none could follow is nobody's, and passed over.
    """
    found = (number_of(name) for name in names)
    number = max((n for n in found if n < LAST_NUMBER), default=0) + 1
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{number:04d}"


def make(partial: Path, *, encrypted: bool = False) -> None:
    """
    Make a set's folder durably, closed to others.

    DataError when it cannot be written, where the filesystem renames nothing, and where
    it opens the folder to others although the set is not *encrypted*.
    """
    try:
        new = sharing.make_folder(partial)
        for path in new:
            sync(path.parent)
        _require_renames(partial)
        if not encrypted:
            _require_closed(partial)
    except OSError as refused:
        remove_partial(partial)
        raise unwritable(partial.parent.parent, refused) from refused
    except DataError:
        remove_partial(partial)
        raise


def _require_renames(partial: Path) -> None:
    """DataError where no file can get another name, by which a set becomes whole."""
    trial = partial / ".trial"
    trial.touch()
    try:
        trial.rename(partial / MANIFEST).unlink()
    except OSError as refused:
        raise DataError(
            f"{_filesystem_of(partial)} renames no files: {refused.strerror}",
            hint="--dest DIR names another destination",
        ) from refused


def _require_closed(path: Path) -> None:
    """DataError when others can read what was just closed to them."""
    if others := sharing.open_to_others(path):
        raise DataError(
            f"{_filesystem_of(path)} keeps no modes: {others} could read the set",
            hint="--encrypt RECIPIENT keeps it unreadable, --dest DIR names another "
            "destination; or mount it for one user (umask=077, dir_mode=0700)",
        )


def _filesystem_of(path: Path) -> str:
    """Return how a refusal names the filesystem on which *path* was made."""
    kind = sharing.filesystem(path)
    about = f" ({kind})" if kind else ""
    return f"the filesystem of {path.parent}{about}"


def unwritable(dest: Path, refused: OSError) -> DataError:
    there = next((path for path in (dest, *dest.parents) if path.exists()), dest)
    kind = sharing.filesystem(there)
    about = f" (a filesystem of the type {kind})" if kind else ""
    return DataError(
        f"{dest}{about} cannot be written: {refused.strerror}",
        hint="--dest DIR names another destination",
    )


def number_of(name: str) -> int:
    """Return the number that ends the id in a name, 0 where there is none."""
    found = re.search(SET_ID.pattern + "$", name)
    return int(name.rpartition("-")[2]) if found else 0


def finish(partial: Path, manifest: Manifest) -> Path:
    """
    Write the manifest, close every file to others, and give the set its name.

    DataError where no reader would take it.
    """
    write_private(partial / MANIFEST, manifests.readable(manifest))
    mode = sharing.file_mode(partial)
    for path in partial.iterdir():
        path.chmod(mode)
        if not manifest.encrypted:
            _require_closed(path)
        sync(path)
    sync(partial)
    final = partial.with_name(manifest.id)
    partial.rename(final)
    sync(final.parent)
    return final


def remove_partial(path: Path) -> None:
    """Remove what an unfinished backup wrote; any other folder is left alone."""
    if PARTIAL.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
        _remove_rest(path)


def remove(backup_set: BackupSet) -> None:
    """Remove a set: first its name, so that a half removed one is no set."""
    doomed = backup_set.path.with_name(f"{REMOVED}{backup_set.path.name}")
    try:
        backup_set.path.rename(doomed)
        shutil.rmtree(doomed)
    except OSError as refused:
        rest = doomed if doomed.exists() else backup_set.path
        raise DataError(
            f"{backup_set.id} cannot be removed: {refused.strerror}",
            hint=f"sudo rm -r {shlex.quote(str(rest))}; the next prune tries it again",
        ) from refused


def remove_rest(dest: Path, project: str) -> None:
    """Finish what a removal that died has begun, and say what cannot be removed."""
    for path in folder(dest, project).glob(f"{REMOVED}*"):
        _remove_rest(path)


def _remove_rest(path: Path) -> None:
    """Remove a folder that is no set, and say so where that is refused."""
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        command = f"sudo rm -r {shlex.quote(str(path))}"
        say(f"warning: {path} cannot be removed: {command}")


def note(path: Path, **values: Any) -> None:
    """
    Add to the set's own record: when it was verified, drilled, and how it went.

    Where that cannot be written the set is no worse for it: a warning says so.
    """
    text = json.dumps(_record(path) | values, indent=1) + "\n"
    try:
        write_private(path / RECORD, text)
    except OSError as refused:
        say(f"warning: the record of {path.name} cannot be written: {refused.strerror}")


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as refused:
        # Some filesystems of other machines have no such request for a folder.
        if refused.errno not in {errno.EINVAL, errno.ENOTSUP} or path.is_file():
            raise
    finally:
        os.close(handle)


def choose(
    dest: Path,
    project: str,
    *,
    services: tuple[str, ...] = (),
    set_id: str = "",
    at: datetime | None = None,
) -> BackupSet:
    """Return the set of a folder that is meant, as `chosen` does."""
    where = str(folder(dest, project))
    found = listed(dest, project)
    return chosen(found, where, services=services, set_id=set_id, at=at)


def chosen(
    found: Sequence[BackupSet],
    where: str,
    *,
    services: tuple[str, ...] = (),
    set_id: str = "",
    at: datetime | None = None,
) -> BackupSet:
    """
    Return the set that is meant: by id, or the newest verified with all *services*.

    Where none is verified, the newest that was only written to a repository is taken,
    and named so. With *at* none that is newer. Raises DataError when there is none.
    """
    if set_id:
        return _by_id(found, where, set_id)
    fitting = [k for k in found if k.manifest and _fits(k.manifest, services, at)]
    for kept in fitting:
        if kept.verified:
            return kept
    for kept in fitting:
        if kept.written:
            say(f"{kept.id} is written, but was not verified yet")
            return kept
    about = f" of {', '.join(services)}" if services else ""
    until = f" from {at:%Y-%m-%d %H:%M} or before" if at else ""
    raise DataError(
        f"no verified set{about}{until} in {where}",
        hint="invoke backups lists the sets, --set ID takes another; invoke backup "
        "makes one",
    )


def _by_id(found: Sequence[BackupSet], where: str, set_id: str) -> BackupSet:
    for kept in found:
        if kept.id == set_id:
            return kept
    raise DataError(
        f"there is no set {set_id!r:.60} in {where}",
        hint="invoke backups lists the sets",
    )


def _fits(found: Manifest, services: tuple[str, ...], at: datetime | None) -> bool:
    there = {store.service for store in found.stores}
    return there.issuperset(services) and (at is None or found.created_at <= at)


def valid_manifest(backup_set: BackupSet) -> Manifest:
    """Return the set's manifest; DataError when it is invalid."""
    if backup_set.manifest is None:
        raise DataError(
            f"{backup_set.id} cannot be used: {backup_set.fault}",
            hint="invoke backups lists the sets",
        )
    return backup_set.manifest


def _record(path: Path) -> dict[str, Any]:
    try:
        return untrusted.read_json(path / RECORD, most=MAX_BYTES)
    except (OSError, ValueError):
        return {}


def timestamp(text: Any) -> datetime | None:
    """Return a time of a record, None for what is no time."""
    try:
        return decode.timestamp(text)
    except UNTRUE:
        return None


def drill_of(last: Any) -> dict[str, str] | None:
    """Return when the last drill was and how it ended, as a record says it."""
    if not isinstance(last, dict) or (at := timestamp(last.get("at"))) is None:
        return None
    result = "".join(c for c in str(last.get("result"))[:LONGEST] if c.isprintable())
    return {"at": at.isoformat(), "result": result}


def ratios(dest: Path, project: str) -> dict[str, float]:
    """Return how far each volume shrank in the newest set that has it."""
    known: dict[str, float] = {}
    for backup_set in reversed(listed(dest, project)):
        for store in backup_set.manifest.stores if backup_set.manifest else ():
            for archive in store.archives:
                known[archive.key] = archive.size / max(archive.bytes, 1)
    return known
