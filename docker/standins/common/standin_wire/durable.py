"""
Files that keep what was acknowledged, whenever the process is killed.

A record is `length:u32 crc32:u32 payload`, little-endian. A torn or damaged
record ends the readable part of its file; nothing after it is believed.
"""

import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

_HEAD = struct.Struct("<II")
RECORD_OVERHEAD = _HEAD.size


class DirectoryInUseError(Exception):
    """Another process holds the directory."""


def frame(payload: bytes) -> bytes:
    """Return the record that holds *payload*."""
    return _HEAD.pack(len(payload), crc32(payload)) + payload


def records(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Each whole record's end offset (bytes, from the stream's start) and payload."""
    end = stream.tell()
    while len(head := stream.read(_HEAD.size)) == _HEAD.size:
        length, checksum = _HEAD.unpack(head)
        payload = stream.read(length)
        if len(payload) < length or crc32(payload) != checksum:
            return
        end += _HEAD.size + length
        yield end, payload


def write_through(descriptor: int, data: bytes) -> None:
    """Write all of *data* and return when it is on the disk."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fdatasync(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Make *path* hold *data*: after a kill it is either the old file or the new."""
    partial = path.with_name(path.name + ".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    try:
        write_through(descriptor, data)
    finally:
        os.close(descriptor)
    partial.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make names created in or removed from *path* durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hold_directory(path: Path, *, name: str = ".lock") -> int:
    """
    Lock *path* against a second process for as long as this one lives.

    Returns the descriptor that holds the lock. Raises DirectoryInUseError.
    """
    descriptor = os.open(path / name, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise DirectoryInUseError(path) from error
    return descriptor
