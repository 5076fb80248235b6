"""
All tables of one root folder, and its snapshots.

SNAPSHOT PREPARE copies each table's `_meta` and `_txn` to `snapshot/db/<table>/` and
the instance id to `snapshot/db/_snapshot`. A start puts them back only when both ids
are non-empty and differ: otherwise the copied files are used as they lie there.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from standin_wire.durable import replace_file, sync_directory

from questdb_standin.tables import Column, Table, TableError

_FOLDERS = ("conf", "db", "public", "snapshot")
_COPIED = ("_meta", "_txn")


@dataclass(slots=True)
class Database:
    """The tables under *root*."""

    root: Path
    instance_id: str
    tables: dict[str, Table] = field(default_factory=dict)
    snapshot_in_progress: bool = False

    @classmethod
    def open(cls, root: Path, *, instance_id: str, recover: bool) -> "Database":
        """Create the folders, recover a foreign snapshot, open the tables."""
        for name in _FOLDERS:
            (root / name).mkdir(mode=0o750, parents=True, exist_ok=True)
        database = cls(root, instance_id)
        if recover:
            database._recover_snapshot()
        for folder in sorted((root / "db").iterdir()):
            if (folder / "_meta").exists() and (folder / "_txn").exists():
                database.tables[folder.name] = Table.open(folder)
        return database

    def table(self, name: str) -> Table:
        """Return the table, whatever the case of its name. Raises TableError."""
        for known, table in self.tables.items():
            if known.lower() == name.lower():
                return table
        raise TableError(f"table does not exist [table={name}]")

    def has(self, name: str) -> bool:
        """Whether there is such a table."""
        return name.lower() in map(str.lower, self.tables)

    def create(
        self, name: str, columns: Sequence[Column], designated: str | None
    ) -> Table:
        """Make a table. Raises TableError when there is one or the name is no name."""
        if self.has(name):
            raise TableError("table already exists")
        if not name or set(name) & set("/\\?,'\":()+*%~\0\n") or name[0] == ".":
            raise TableError(f"invalid table name [table={name}]")
        table = Table.create(self.root / "db" / name, columns, designated)
        self.tables[name] = table
        return table

    def drop(self, name: str) -> None:
        """Remove a table. Raises TableError."""
        table = self.table(name)
        del self.tables[table.folder.name]
        table.drop()

    def prepare_snapshot(self) -> None:
        """SNAPSHOT PREPARE. Raises TableError when one is prepared already."""
        if self.snapshot_in_progress:
            raise TableError("Waiting for SNAPSHOT COMPLETE to be called")
        target = self._snapshot
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(mode=0o750, parents=True)
        for name, table in self.tables.items():
            (target / name).mkdir(mode=0o750)
            for file in _COPIED:
                replace_file(target / name / file, (table.folder / file).read_bytes())
        replace_file(target / "_snapshot", self.instance_id.encode())
        self.snapshot_in_progress = True

    def complete_snapshot(self) -> None:
        """SNAPSHOT COMPLETE; allowed without a PREPARE."""
        shutil.rmtree(self._snapshot, ignore_errors=True)
        self.snapshot_in_progress = False

    def close(self) -> None:
        """Close every table."""
        for table in self.tables.values():
            table.close()

    @property
    def _snapshot(self) -> Path:
        return self.root / "snapshot" / "db"

    def _recover_snapshot(self) -> None:
        mark = self._snapshot / "_snapshot"
        taken_by = mark.read_text() if mark.exists() else ""
        if not taken_by or not self.instance_id or taken_by == self.instance_id:
            return
        for folder in [path for path in self._snapshot.iterdir() if path.is_dir()]:
            table = self.root / "db" / folder.name
            table.mkdir(mode=0o750, exist_ok=True)
            for file in _COPIED:
                replace_file(table / file, (folder / file).read_bytes())
        sync_directory(self.root / "db")
        shutil.rmtree(self._snapshot)
