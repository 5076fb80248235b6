"""
The transaction log: chunks, checkpoints, and the order that keeps them sound.

An append goes to the disk in this order: the chunk, `writer.chk`, `chaser.chk`;
only then is it acknowledged. So a checkpoint never points past its chunk on a live
node, and a copy in which it does was taken in the wrong order: `open_log` refuses
it. What lies behind `writer.chk` was never acknowledged and is cut off.

Layout as in EventStoreDB: `chunk-000000.000000`, and checkpoints of 8 bytes (signed,
little-endian) beside them. The chunks' contents are this stand-in's own records.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from standin_wire.durable import (
    frame,
    records,
    replace_file,
    sync_directory,
    write_through,
)

NOWHERE = -1


class LogDamagedError(Exception):
    """The files contradict each other; the text is for the user."""


@dataclass(slots=True)
class Checkpoint:
    """A position in the log, kept in 8 bytes of a file."""

    path: Path
    value: int

    @classmethod
    def open(cls, path: Path, *, initial: int) -> "Checkpoint":
        """Read it, or create it with *initial*. Raises LogDamagedError."""
        if not path.exists():
            replace_file(path, struct.pack("<q", initial))
            return cls(path, initial)
        data = path.read_bytes()
        if len(data) != 8:  # noqa: PLR2004
            raise LogDamagedError(f"{path.name} has {len(data)} bytes instead of 8")
        return cls(path, struct.unpack("<q", data)[0])

    def move(self, value: int) -> None:
        """Write the position in place and wait for the disk."""
        descriptor = os.open(self.path, os.O_WRONLY)
        try:
            write_through(descriptor, struct.pack("<q", value))
        finally:
            os.close(descriptor)
        self.value = value


@dataclass(slots=True)
class Log:
    """The chunks of *root*, open for appending."""

    root: Path
    chunk_size: int
    writer: Checkpoint
    chaser: Checkpoint
    _chunk: int | None = None
    _number: int = 0

    def append(self, payloads: list[bytes]) -> int:
        """Write the records as one; the new end (bytes). Durable when it returns."""
        data = b"".join(map(frame, payloads))
        number, offset = divmod(self.writer.value, self.chunk_size)
        if offset + len(data) > self.chunk_size and offset:
            number, offset = number + 1, 0
        write_through(self._open_chunk(number), data)
        end = number * self.chunk_size + offset + len(data)
        self.writer.move(end)
        self.chaser.move(end)
        return end

    def payloads(self) -> Iterator[tuple[int, bytes]]:
        """
        Every record up to `writer.chk`: its end position and its payload.

        Raises LogDamagedError when a chunk ends or breaks before that position.
        """
        last = self.writer.value // self.chunk_size
        for number in range(last + 1):
            path = chunk_path(self.root, number)
            wanted = self.writer.value - number * self.chunk_size
            if wanted:
                yield from self._chunk_records(path, number, wanted)

    def _chunk_records(
        self, path: Path, number: int, wanted: int
    ) -> Iterator[tuple[int, bytes]]:
        reached = 0
        if path.exists():
            with path.open("rb") as stream:
                for reached, payload in records(stream):
                    if reached > wanted:
                        break
                    yield number * self.chunk_size + reached, payload
        is_last = wanted <= self.chunk_size
        if (is_last and reached < wanted) or not reached:
            raise LogDamagedError(
                f"{path.name} ends at {reached}, writer.chk says {wanted}: the"
                " checkpoint is newer than the chunk, as in a copy that took them"
                " in the wrong order"
            )

    def close(self) -> None:
        """Close the current chunk."""
        if self._chunk is not None:
            os.close(self._chunk)
            self._chunk = None

    def _open_chunk(self, number: int) -> int:
        if self._chunk is not None and number == self._number:
            return self._chunk
        self.close()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._chunk = os.open(chunk_path(self.root, number), flags, 0o640)
        self._number = number
        sync_directory(self.root)
        return self._chunk


def chunk_path(root: Path, number: int) -> Path:
    """Return the first version of a chunk; only a scavenge makes others."""
    return root / f"chunk-{number:06}.000000"


def open_log(root: Path, *, chunk_size: int) -> Log:
    """
    Open the log: truncate where `truncate.chk` says, cut what nobody was told.

    Raises LogDamagedError when checkpoints and chunks contradict each other.
    """
    writer = Checkpoint.open(root / "writer.chk", initial=0)
    chaser = Checkpoint.open(root / "chaser.chk", initial=0)
    truncate = Checkpoint.open(root / "truncate.chk", initial=NOWHERE)
    for name in ("epoch.chk", "proposal.chk"):
        Checkpoint.open(root / name, initial=NOWHERE)
    if truncate.value != NOWHERE:
        if truncate.value > writer.value:
            raise LogDamagedError("truncate.chk points behind writer.chk")
        writer.move(truncate.value)
        chaser.move(truncate.value)
        truncate.move(NOWHERE)
    if chaser.value > writer.value:
        raise LogDamagedError(
            f"chaser.chk ({chaser.value}) is ahead of writer.chk ({writer.value}):"
            " they were copied in the wrong order"
        )
    log = Log(root, chunk_size, writer, chaser)
    for _ in log.payloads():
        pass
    _cut(log)
    chaser.move(writer.value)
    return log


def _cut(log: Log) -> None:
    """Remove what lies behind the writer's checkpoint."""
    number, offset = divmod(log.writer.value, log.chunk_size)
    path = chunk_path(log.root, number)
    if path.exists():
        os.truncate(path, offset)
    else:
        path.touch(mode=0o640)
    for later in log.root.glob("chunk-*.*"):
        if int(later.name[6:12]) > number:
            later.unlink()
    sync_directory(log.root)
