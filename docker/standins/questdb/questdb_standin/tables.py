"""
Tables on the disk: rows in a file that only grows, `_txn` that says how many count.

Layout as in QuestDB: `db/<table>/_meta`, `db/<table>/_txn`, and the partition folder
`default/`. The contents are this stand-in's own: one record per row in `rows.d`.
An insert writes the rows, then `_txn`, and is acknowledged when both are on the disk.
A copy whose `_txn` is newer than its rows makes the table unreadable.
"""

import json
import os
import shutil
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from standin_wire.durable import (
    frame,
    records,
    replace_file,
    sync_directory,
    write_through,
)

_TXN = struct.Struct("<QQ")  # rows, bytes of rows.d


class TableError(Exception):
    """A table that cannot be used; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name and its type in capitals."""

    name: str
    kind: str


@dataclass(slots=True)
class Table:
    """One table; *rows* are committed ones."""

    folder: Path
    columns: tuple[Column, ...]
    designated: str | None
    rows: int
    size: int  # bytes of rows.d that count
    damage: str | None = None
    _descriptor: int | None = None

    @property
    def data(self) -> Path:
        """The file of the rows."""
        return self.folder / "default" / "rows.d"

    @classmethod
    def create(
        cls, folder: Path, columns: Sequence[Column], designated: str | None
    ) -> "Table":
        """Make an empty table; it exists as soon as it has its `_meta`."""
        table = cls(folder, tuple(columns), designated, 0, 0)
        table.data.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        table.data.touch(mode=0o640)
        table._write_txn(0, 0)
        table._write_meta()
        sync_directory(folder.parent)
        return table

    @classmethod
    def open(cls, folder: Path) -> "Table":
        """Read a table; rows behind `_txn` were never acknowledged and are cut."""
        meta = json.loads((folder / "_meta").read_text())
        columns = tuple(Column(name, kind) for name, kind in meta["columns"])
        rows, size = _TXN.unpack((folder / "_txn").read_bytes())
        table = cls(folder, columns, meta["timestamp"], rows, size)
        present = table.data.stat().st_size if table.data.exists() else 0
        if present < size:
            table.damage = (
                f"table '{folder.name}' is corrupt: _txn counts {size} bytes of rows,"
                f" the file has {present}"
            )
        elif present > size:
            os.truncate(table.data, size)
        return table

    def append(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows (in column order); on the disk when this returns."""
        self.check()
        encoded = (json.dumps(row, separators=(",", ":")).encode() for row in rows)
        data = b"".join(map(frame, encoded))
        write_through(self._open(), data)
        self._write_txn(self.rows + len(rows), self.size + len(data))

    def add_column(self, column: Column) -> None:
        """Add a column; rows that lack it read as null."""
        self.columns = (*self.columns, column)
        self._write_meta()

    def read(self) -> Iterator[list[Any]]:
        """Return the committed rows. Raises TableError when the file is damaged."""
        self.check()
        found = 0
        with self.data.open("rb") as stream:
            for end, payload in records(stream):
                if end > self.size:
                    break
                row = json.loads(payload)
                yield row + [None] * (len(self.columns) - len(row))
                found += 1
        if found < self.rows:
            raise TableError(
                f"table '{self.folder.name}' is corrupt: row {found} is damaged"
            )

    def check(self) -> None:
        """Raise TableError when the files contradict each other."""
        if self.damage:
            raise TableError(self.damage)

    def drop(self) -> None:
        """Remove the table and its files."""
        self.close()
        (self.folder / "_meta").unlink()
        shutil.rmtree(self.folder)
        sync_directory(self.folder.parent)

    def close(self) -> None:
        """Close the file of the rows."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self.data, os.O_WRONLY | os.O_APPEND)
        return self._descriptor

    def _write_txn(self, rows: int, size: int) -> None:
        descriptor = os.open(self.folder / "_txn", os.O_WRONLY | os.O_CREAT, 0o640)
        try:
            write_through(descriptor, _TXN.pack(rows, size))
        finally:
            os.close(descriptor)
        self.rows, self.size = rows, size

    def _write_meta(self) -> None:
        columns = [(column.name, column.kind) for column in self.columns]
        meta = {"columns": columns, "timestamp": self.designated}
        replace_file(self.folder / "_meta", json.dumps(meta).encode())
