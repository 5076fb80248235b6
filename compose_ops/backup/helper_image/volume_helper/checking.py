"""Read an archive back: every member and hash, nothing that must not be there."""

import fcntl
import os
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import IO, Any

from volume_helper import listing as listings
from volume_helper.failure import Failed, Refused
from volume_helper.members import read_members
from volume_helper.screen import Screen
from volume_helper.window import PIECE, Sink

UNPACK = {"zstd": ["zstd", "-q", "-d", "-c"], "gzip": ["gzip", "-d", "-c"]}


MayGrow = Callable[[], bool]
"""Called where a file seems to end: waits until there may be more, False if not."""


@dataclass(slots=True)
class Sealed:
    """The archive's own hash and size, known once it was read to its end."""

    digest: str = ""
    size: int = 0
    fault: OSError | None = None


def check(
    archive: Path,
    *,
    compression: str,
    screen: Screen,
    progress: Callable[[int], object],
    sink: Sink | None = None,
    listing: Path | None = None,
    may_grow: MayGrow | None = None,
) -> dict[str, Any]:
    """
    Read every member of *archive* to its end; write the list of them.

    It is read from the disk, but not where it is still written and *may_grow*. What it
    unpacks to is what was packed: zstd and gzip compare a checksum of their own over
    all of it. Returns {"files", "bytes" (of contents), "sha256", "size" (of
    the archive), "listing": {"sha256" of its lines}}. Raises Refused.
    """
    done = Progress(progress)
    with (
        listings.written(listing) as lines,
        unpacked(archive, compression, may_grow) as (stream, sealed),
    ):
        for member in read_members(stream, admit=screen, sink=sink, progress=done.add):
            lines(member)
        screen.finish()
    return {
        "files": screen.files,
        "bytes": screen.size,
        "sha256": sealed.digest,
        "size": sealed.size,
        "listing": {"sha256": lines.digest.hexdigest()},
    }


def list_digest(listing: Path, *, max_bytes: int) -> str:
    """Return the SHA-256 of a list of files, unpacked. Raises Refused."""
    digest, left = sha256(), max_bytes
    with unpacked(listing, "zstd") as (stream, _):
        while piece := stream.read(PIECE):
            digest.update(piece)
            left -= len(piece)
            if left < 0:
                raise Refused("the list of files is longer than any real one")
    return digest.hexdigest()


def digest_on_disk(archive: Path) -> str:
    """Return the SHA-256 of *archive* as it lies on the disk."""
    with archive.open("rb") as source:
        _forget_cache(source)
        return file_digest(source, "sha256").hexdigest()


@contextmanager
def unpacked(
    archive: Path, compression: str, may_grow: MayGrow | None = None
) -> Iterator[tuple[IO[bytes], Sealed]]:
    """Yield the tar stream in *archive*, hashing the archive on its way."""
    sealed = Sealed()
    with (
        archive.open("rb") as source,
        subprocess.Popen(
            UNPACK[compression],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=PIECE,
        ) as process,
    ):
        widen(process.stdin)
        widen(process.stdout)
        if may_grow is None:
            _forget_cache(source)
        pieces = _pieces(source, may_grow)
        feeder = threading.Thread(target=_feed, args=(pieces, process.stdin, sealed))
        feeder.start()
        try:
            yield _present(process.stdout), sealed
        except BaseException as fault:
            process.kill()
            feeder.join()
            if sealed.fault:
                raise sealed.fault from None
            if isinstance(fault, Refused) and process.stderr is not None:
                raise Refused(_better(str(fault), process.stderr.read())) from None
            raise
        feeder.join()
        if sealed.fault:
            raise sealed.fault
        if process.wait() != 0:
            raise Refused("the archive is damaged: its compressed data cannot be read")


def _present(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise Failed("the archive could not be opened")
    return pipe


def _better(words: str, said: bytes) -> str:
    """Prefer what the decompressor saw: it explains why the tar stream broke off."""
    if said.strip():
        return "the archive is damaged: its compressed data cannot be read"
    return words


def _pieces(source: IO[bytes], may_grow: MayGrow | None) -> Iterator[bytes]:
    while True:
        while piece := source.read(PIECE):
            yield piece
        if may_grow is None:
            return
        may_grow = may_grow if may_grow() else None


def _feed(pieces: Iterator[bytes], pipe: IO[bytes] | None, sealed: Sealed) -> None:
    digest = sha256()
    try:
        for piece in pieces:
            digest.update(piece)
            sealed.size += len(piece)
            if pipe is not None:
                pipe.write(piece)
    except BrokenPipeError:
        pass
    except OSError as fault:
        sealed.fault = fault
    sealed.digest = digest.hexdigest()
    try:
        if pipe is not None:
            pipe.close()
    except BrokenPipeError:
        pass


def widen(pipe: IO[bytes] | None) -> None:
    """Let a pipe hold a piece, where the kernel grants it: fewer changes of process."""
    if pipe is not None:
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIECE)


def _forget_cache(source: IO[bytes]) -> None:
    """Let what is read come from the disk, not from what was just written."""
    if stat.S_ISREG(os.fstat(source.fileno()).st_mode):
        os.fsync(source.fileno())
        os.posix_fadvise(source.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@dataclass(slots=True)
class Progress:
    """Reports at most once every eight mebibytes."""

    report: Callable[[int], object]
    done: int = 0
    said: int = 0

    def add(self, size: int) -> None:
        self.done += size
        if self.done - self.said >= 8 * PIECE:
            self.said = self.done
            self.report(self.done)
