"""The sets in a destination: made under a partial name, listed, chosen, removed."""

import json
import os
import re
import shutil
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from compose_ops.backup import manifest as manifests
from compose_ops.backup import untrusted
from compose_ops.backup.manifest import MAX_BYTES, SET_ID, UNTRUE, Manifest
from compose_ops.console import say
from compose_ops.errors import DataError, UsageError
from compose_ops.project.env_file import write_private

MANIFEST = "manifest.json"
RECORD = "record.json"
LONGEST = 300  # characters that are shown of a record's text
REMOVED = ".removed-"
PARTIAL = re.compile(r"\.partial-" + SET_ID.pattern)
_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class BackupSet:
    """
    A set in a destination; `manifest` is None when it is invalid.

    `fault` says why, or which archive is not as the manifest has it: such a set is not
    verified, whatever its record says.
    """

    path: Path
    manifest: Manifest | None
    fault: str
    verified: datetime | None
    drilled: datetime | None
    drill: dict[str, str] | None

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
    return sorted((load(path) for path in names), key=_age, reverse=True)


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
        verified=None if fault else _timestamp(record.get("verified")),
        drilled=_timestamp(record.get("drilled")),
        drill=_drill(record.get("drill")),
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


def _age(backup_set: BackupSet) -> tuple[int, str]:
    return int(backup_set.id.rpartition("-")[2]), backup_set.id


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
    number = max(map(_number, names), default=0) + 1
    return directory / f".partial-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{number:04d}"


def make(partial: Path) -> None:
    """Make a set's folder, 0700, durably. DataError when it cannot be written."""
    try:
        new = [path for path in partial.parents if not path.exists()]
        partial.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.parent.chmod(0o700)
        partial.mkdir(mode=0o700)
        for path in new:
            sync(path.parent)
    except OSError as refused:
        raise unwritable(partial.parent.parent, refused) from refused


def unwritable(dest: Path, refused: OSError) -> DataError:
    return DataError(
        f"{dest} cannot be written: {refused.strerror}",
        hint="--dest DIR names another destination",
    )


def _number(name: str) -> int:
    found = re.search(SET_ID.pattern + "$", name)
    return int(name.rpartition("-")[2]) if found else 0


def finish(partial: Path, manifest: Manifest) -> Path:
    """Write the manifest, close every file to others, and give the set its name."""
    write_private(partial / MANIFEST, manifests.written(manifest))
    for path in partial.iterdir():
        path.chmod(0o600)
        sync(path)
    sync(partial)
    final = partial.with_name(manifest.id)
    partial.rename(final)
    sync(final.parent)
    return final


def remove_partial(path: Path) -> None:
    """Remove what an unfinished backup wrote; any other folder is left alone."""
    if PARTIAL.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)


def remove(backup_set: BackupSet) -> None:
    """Remove a set: first its name, so that a half removed one is no set."""
    doomed = backup_set.path.with_name(f"{REMOVED}{backup_set.path.name}")
    backup_set.path.rename(doomed)
    shutil.rmtree(doomed)


def remove_rest(dest: Path, project: str) -> None:
    """Finish what a removal that died has begun."""
    for path in folder(dest, project).glob(f"{REMOVED}*"):
        shutil.rmtree(path, ignore_errors=True)


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
    """
    Return the set that is meant: by id, or the newest verified with all *services*.

    With *at* none that is newer. Raises DataError when there is none.
    """
    if set_id:
        return _by_id(dest, project, set_id)
    for backup_set in listed(dest, project):
        if (
            backup_set.manifest
            and backup_set.verified
            and _fits(backup_set.manifest, services, at)
        ):
            return backup_set
    about = f" of {', '.join(services)}" if services else ""
    until = f" from {at:%Y-%m-%d %H:%M} or before" if at else ""
    raise DataError(
        f"no verified set{about}{until} in {folder(dest, project)}",
        hint="invoke backups lists the sets, --set ID takes another; invoke backup "
        "makes one",
    )


def _by_id(dest: Path, project: str, set_id: str) -> BackupSet:
    path = folder(dest, project) / set_id
    if not SET_ID.fullmatch(set_id) or not path.is_dir():
        raise DataError(
            f"there is no set {set_id!r:.60} in {folder(dest, project)}",
            hint="invoke backups lists the sets",
        )
    return load(path)


def _fits(found: Manifest, services: tuple[str, ...], at: datetime | None) -> bool:
    there = {store.service for store in found.stores}
    return there.issuperset(services) and (at is None or found.created_at <= at)


def believed(backup_set: BackupSet) -> Manifest:
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


def _timestamp(text: Any) -> datetime | None:
    try:
        return untrusted.timestamp(text)
    except UNTRUE:
        return None


def _drill(last: Any) -> dict[str, str] | None:
    """Return when the last drill was and how it ended, as a record says it."""
    if not isinstance(last, dict) or (at := _timestamp(last.get("at"))) is None:
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
