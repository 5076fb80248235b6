"""
Snapshots and write-ahead log of one data directory.

Layout as in Memgraph: `snapshots/<time>_timestamp_<n>` and `wal/<time>_current`,
renamed to `wal/<time>_from_<n>_to_<m>` when it is full. The contents are this
stand-in's own records. A transaction is one record: its timestamp (the number of
commits so far) and its nodes.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from standin_wire.durable import (
    frame,
    records,
    replace_file,
    sync_directory,
    write_through,
)

from memgraph_standin.graph import Graph, Node
from memgraph_standin.snapshots import (
    StorageError,
    is_snapshot,
    load_snapshot,
    move_to_old,
    timestamp_of,
    write_snapshot,
)


@dataclass(frozen=True, slots=True)
class Durability:
    """The storage flags that decide what is kept."""

    wal_enabled: bool
    wal_file_size: int  # bytes
    snapshots_kept: int
    recover_on_start: bool = True


@dataclass(slots=True)
class Storage:
    """The graph and the files under *root* that keep it."""

    root: Path
    durability: Durability
    graph: Graph = field(default_factory=Graph)
    timestamp: int = 0
    locked: bool = False
    _snapshot_timestamp: int = 0
    _wal: int | None = None
    _wal_path: Path | None = None
    _wal_first: int = 0

    @classmethod
    def open(cls, root: Path, durability: Durability) -> "Storage":
        """Create the folders, recover snapshot and log. Raises StorageError."""
        storage = cls(root, durability)
        for folder in (storage.snapshots, storage.wals):
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        if durability.recover_on_start:
            storage._recover()
        else:
            move_to_old(storage.snapshots)
            move_to_old(storage.wals)
        return storage

    @property
    def snapshots(self) -> Path:
        """The folder of snapshots."""
        return self.root / "snapshots"

    @property
    def wals(self) -> Path:
        """The folder of write-ahead logs."""
        return self.root / "wal"

    def commit(self, nodes: Sequence[Node]) -> None:
        """Add *nodes* as one transaction; on the disk when this returns."""
        encoded = [node.encoded() for node in nodes]
        if self.durability.wal_enabled:
            record = b"\n".join([str(self.timestamp + 1).encode(), *encoded])
            write_through(self._open_wal(), frame(record))
        self.timestamp += 1
        for data, node in zip(encoded, nodes, strict=True):
            self.graph.add(data, node.labels)
        self._rotate_wal()

    def create_snapshot(self) -> Path:
        """
        Write the whole graph to a new file, drop what it makes superfluous.

        Raises StorageError when nothing was written since the last one.
        """
        if self._snapshot_timestamp == self.timestamp and self._snapshot_files():
            raise StorageError("Nothing has been written since the last snapshot.")
        path = self.snapshots / f"{_moment()}_timestamp_{self.timestamp}"
        write_snapshot(path, self.graph, self.timestamp)
        self._snapshot_timestamp = self.timestamp
        self.remove_superfluous()
        return path

    def recover_snapshot(self, source: Path, *, force: bool) -> None:
        """
        Make the graph what the snapshot *source* holds.

        The present files move to `.old` in their folders (one generation).
        Raises StorageError when the file is unreadable or, without *force*, when
        the graph is not empty.
        """
        if self.graph.count() and not force:
            raise StorageError(
                "The database is not empty: add FORCE to replace its data."
            )
        graph, timestamp = load_snapshot(source)
        data = source.read_bytes()
        self.close()
        for folder in (self.snapshots, self.wals):
            move_to_old(folder)
        replace_file(self.snapshots / source.name, data)
        self.graph, self.timestamp = graph, timestamp
        self._snapshot_timestamp = timestamp

    def remove_superfluous(self) -> None:
        """
        Delete snapshots beyond the retention and logs that all kept ones cover.

        A locked directory keeps everything; unlocking calls this again.
        """
        if self.locked:
            return
        files = self._snapshot_files()
        kept = files[-self.durability.snapshots_kept :]
        for path in files[: -len(kept)] if kept else []:
            path.unlink()
        oldest = timestamp_of(kept[0]) if kept else 0
        for path in self._finished_wals():
            if int(path.name.rsplit("_", 1)[1]) <= oldest:
                path.unlink()

    def close(self) -> None:
        """Finish the current log file."""
        if self._wal is None or self._wal_path is None:
            return
        os.close(self._wal)
        span = f"_from_{self._wal_first}_to_{self.timestamp}"
        name = self._wal_path.name.removesuffix("_current") + span
        self._wal_path.rename(self.wals / name)
        sync_directory(self.wals)
        self._wal = self._wal_path = None

    def disk_usage(self) -> int:
        """Bytes of all files."""
        files = [path for path in self.root.rglob("*") if path.is_file()]
        return sum(path.stat().st_size for path in files)

    def _open_wal(self) -> int:
        if self._wal is None:
            self._wal_first = self.timestamp + 1
            self._wal_path = self.wals / f"{_moment()}_current"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._wal = os.open(self._wal_path, flags, 0o640)
            sync_directory(self.wals)
        return self._wal

    def _rotate_wal(self) -> None:
        if self._wal is not None and (
            os.fstat(self._wal).st_size >= self.durability.wal_file_size
        ):
            self.close()

    def _snapshot_files(self) -> list[Path]:
        found = [path for path in self.snapshots.iterdir() if is_snapshot(path)]
        return sorted(found, key=lambda path: (timestamp_of(path), path.name))

    def _finished_wals(self) -> list[Path]:
        return sorted(path for path in self.wals.iterdir() if "_to_" in path.name)

    def _recover(self) -> None:
        for path in reversed(self._snapshot_files()):
            try:
                self.graph, self.timestamp = load_snapshot(path)
            except StorageError:
                continue
            self._snapshot_timestamp = self.timestamp
            break
        else:
            if self._snapshot_files():
                raise StorageError("no snapshot in the data directory can be read")
        for path in self._all_wals():
            self._replay(path)

    def _all_wals(self) -> list[Path]:
        return sorted(path for path in self.wals.iterdir() if path.is_file())

    def _replay(self, path: Path) -> None:
        first = last = 0
        with path.open("rb") as stream:
            for _, payload in records(stream):
                stamp, *nodes = payload.split(b"\n")
                last = int(stamp)
                first = first or last
                if last <= self.timestamp:
                    continue
                if last != self.timestamp + 1:
                    raise StorageError(
                        f"{path.name}: transaction {last} follows {self.timestamp}:"
                        " a log file in between is missing"
                    )
                for data in nodes:
                    self.graph.add(data, Node.decoded(data).labels)
                self.timestamp = last
        if path.name.endswith("_current"):
            stem = path.name.removesuffix("_current")
            path.rename(path.with_name(f"{stem}_from_{first}_to_{last}"))


def _moment() -> str:
    return datetime.now(tz=UTC).strftime("%Y%m%d%H%M%S%f")
