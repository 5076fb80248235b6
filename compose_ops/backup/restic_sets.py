"""What the snapshots of a repository say: which sets there are, and their records."""

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from compose_ops.backup import manifest as manifests
from compose_ops.backup import untrusted
from compose_ops.backup.addresses import RepositoryAddress
from compose_ops.backup.manifest import SET_ID, Manifest
from compose_ops.backup.repository import BackupSet, by_age, drill_of, timestamp
from compose_ops.errors import DataError
from compose_ops.project import sharing
from compose_ops.project.env_file import write_private
from compose_ops.runtime.context import StackContext

OURS = "compose-ops"
DATA, MANIFEST, RECORD = "data", "manifest", "record"
TEXT = "/compose-ops.json"
"""The file that a manifest's or a record's snapshot holds."""
SET = "set="
NUMBER = "number"
"""The key of a record's number."""

Snapshot = Mapping[str, Any]


def tags(project: str, run: str = "") -> list[str]:
    """Return what each of a project's snapshots is tagged with, or of one set's."""
    return [OURS, f"project={project}", *([SET + run] if run else [])]


def sets(
    name: str, project: str, found: Sequence[Snapshot], texts: Mapping[str, str]
) -> list[BackupSet]:
    """Return the sets, newest first: those that have a manifest."""
    by_set: dict[str, list[Snapshot]] = {}
    for snapshot in _by_time(found):
        by_set.setdefault(set_of(snapshot), []).append(snapshot)
    made = [
        _set(Path(name) / project / run, project, snapshots, texts)
        for run, snapshots in by_set.items()
        if SET_ID.fullmatch(run) and _last(snapshots, MANIFEST)
    ]
    return sorted(made, key=by_age, reverse=True)


def set_of(snapshot: Snapshot) -> str:
    """Return the id of the set that a snapshot is of, "" for none."""
    found = [tag for tag in snapshot["tags"] if tag.startswith(SET)]
    return found[0].removeprefix(SET) if found else ""


def _set(
    path: Path, project: str, found: Sequence[Snapshot], texts: Mapping[str, str]
) -> BackupSet:
    manifest, fault = _manifest(path.name, project, texts[_last(found, MANIFEST)])
    there = _data(found)
    snapshots = {}
    for store in manifest.stores if manifest else ():
        for archive in store.archives:
            id_ = there.get((archive.key, archive.plain_sha256))
            if id_ is None:
                fault = fault or f"its snapshot of {archive.key} is missing"
            else:
                snapshots[archive.key] = id_
    record = _record(found, texts)
    return BackupSet(
        path=path,
        manifest=manifest,
        fault=fault,
        verified=None if fault else timestamp(record.get("verified")),
        drilled=timestamp(record.get("drilled")),
        drill=drill_of(record.get("drill")),
        written=not fault and "verified" not in record,
        snapshots=snapshots,
        text=_last(found, MANIFEST),
    )


def _manifest(run: str, project: str, text: str) -> tuple[Manifest | None, str]:
    try:
        found = manifests.parsed(run, text)
    except DataError as wrong:
        return None, wrong.message
    if (found.id, found.project) != (run, project):
        return None, "its id is another set's"
    return found, ""


def _data(found: Sequence[Snapshot]) -> dict[tuple[str, str], str]:
    """Return the snapshots of volumes by key and tree: a copied one has another id."""
    return {
        (tag, str(one["tree"])): str(one["id"])
        for one in found
        if DATA in one["tags"]
        for tag in one["tags"]
    }


def _last(found: Sequence[Snapshot], kind: str) -> str:
    """Return the id of the newest snapshot of a kind, "" without one."""
    ids = [str(one["id"]) for one in found if kind in one["tags"] and one["is_text"]]
    return ids[-1] if ids else ""


def _record(found: Sequence[Snapshot], texts: Mapping[str, str]) -> dict[str, Any]:
    """
    Return the record with the highest number, the newest of those that have none.

    The number grows with each record, whatever the clocks of the machines say.
    """
    records = [
        _object(texts.get(str(one["id"]), ""))
        for one in found
        if RECORD in one["tags"] and one["is_text"]
    ]
    return max(reversed(records), key=_number, default={})


def _number(record: Mapping[str, Any]) -> int:
    number = record.get(NUMBER)
    return number if type(number) is int else 0


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def noted(
    run: str,
    found: Sequence[Snapshot],
    texts: Mapping[str, str],
    values: Mapping[str, Any],
) -> str:
    """Return the text of a set's next record: its last one with *values*."""
    own = [one for one in _by_time(found) if set_of(one) == run]
    record = _record(own, texts)
    return json.dumps({**record, **values, NUMBER: _number(record) + 1})


def _by_time(found: Sequence[Snapshot]) -> list[Snapshot]:
    return sorted(found, key=lambda one: str(one["time"]))


def doomed(
    found: Sequence[Snapshot], runs: Collection[str], *, before: datetime
) -> list[list[str]]:
    """
    Return what to forget, in order: the manifests of *runs*, then all else of them.

    So go the snapshots of no set that were made *before* then: a copy had died.
    """
    whole = {set_of(one) for one in found if MANIFEST in one["tags"]}
    first: list[str] = []
    then: list[str] = []
    for one in found:
        run = set_of(one)
        left = run not in whole and datetime.fromisoformat(one["time"]) < before
        if run in runs or left:
            (first if MANIFEST in one["tags"] else then).append(str(one["id"]))
    return [first, then]


@dataclass(frozen=True, slots=True)
class Cache:
    """
    The texts of a repository that were read before, by the ids of their snapshots.

    An id is a hash: what it names never changes.
    """

    folder: Path

    @classmethod
    def of(cls, stack: StackContext, address: RepositoryAddress) -> "Cache":
        where = address.url or str(address.folder)
        digest = sha256(where.encode()).hexdigest()[:16]
        return cls(stack.state / "repositories" / digest)

    def known(self) -> dict[str, str]:
        """Return the texts that are kept; none that is no JSON object."""
        texts = {}
        for path in self._files():
            with suppress(OSError, *manifests.UNTRUE):
                found = untrusted.read_json(path, most=manifests.MAX_BYTES)
                texts[path.name] = json.dumps(found)
        return texts

    def _files(self) -> list[Path]:
        with suppress(OSError):
            return sorted(self.folder.iterdir())
        return []

    def filled(
        self,
        found: Iterable[Snapshot],
        new: Mapping[str, str],
        known: Mapping[str, str],
    ) -> dict[str, str]:
        """
        Return all texts of what is *found*: the *new* ones, and those *known* before.

        The new ones are kept, what is gone is dropped.
        """
        there = {str(one["id"]) for one in found if one["is_text"]}
        for path in self._files():
            if path.name not in there:
                with suppress(OSError):
                    path.unlink()
        with suppress(OSError):
            sharing.make_folder(self.folder)
            for id_, text in new.items():
                part = self.folder.with_name(f"{self.folder.name}.{os.getpid()}")
                write_private(part, text)
                part.rename(self.folder / id_)
        return {i: text for i, text in {**known, **new}.items() if i in there}
