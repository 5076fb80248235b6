"""Read an archive back: every member and hash, nothing that must not be there."""

import json
import os
import re
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from jimbot_helper.failure import Failed, Refused
from jimbot_helper.members import PIECE, Member, Sink, read_members
from jimbot_helper.screen import Screen, shown

LINES_AT_ONCE = 500
_USUAL = re.compile(rb"[A-Za-z0-9 ._/:@%+=,~#-]+")
UNPACK = {"zstd": ["zstd", "-q", "-d", "-c"], "gzip": ["gzip", "-d", "-c"]}


@dataclass(slots=True)
class Sealed:
    """The archive's own hash and size, known once it was read to its end."""

    digest: str = ""
    size: int = 0


def check(
    archive: Path,
    listing: Path | None,
    *,
    compression: str,
    screen: Screen,
    progress: Callable[[int], object],
    sink: Sink | None = None,
) -> dict[str, Any]:
    """
    Read *archive* to its end and write one line per member to *listing*.

    Returns {"files", "bytes" (of contents), "sha256", "size" (of the archive),
    "listing": {"sha256" of the lines}}. Raises Refused.
    """
    done = Progress(progress)
    with unpacked(archive, compression) as (stream, sealed), _lines(listing) as write:
        for member in read_members(stream, admit=screen, sink=sink, progress=done.add):
            write(member)
        screen.finish()
        write.flush()
        digest = write.digest.hexdigest()
    return {
        "files": screen.files,
        "bytes": screen.size,
        "sha256": sealed.digest,
        "size": sealed.size,
        "listing": {"sha256": digest},
    }


@contextmanager
def unpacked(archive: Path, compression: str) -> Iterator[tuple[IO[bytes], Sealed]]:
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
        _forget_cache(source)
        feeder = threading.Thread(target=_feed, args=(source, process.stdin, sealed))
        feeder.start()
        try:
            yield _present(process.stdout), sealed
        except BaseException as fault:
            process.kill()
            feeder.join()
            if isinstance(fault, Refused) and process.stderr is not None:
                raise Refused(_better(str(fault), process.stderr.read())) from None
            raise
        feeder.join()
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


def _feed(source: IO[bytes], pipe: IO[bytes] | None, sealed: Sealed) -> None:
    digest = sha256()
    try:
        while piece := source.read(PIECE):
            digest.update(piece)
            sealed.size += len(piece)
            if pipe is not None:
                pipe.write(piece)
    except BrokenPipeError:
        pass
    sealed.digest = digest.hexdigest()
    try:
        if pipe is not None:
            pipe.close()
    except BrokenPipeError:
        pass


def _forget_cache(source: IO[bytes]) -> None:
    """Let what is read come from the disk, not from what was just written."""
    if stat.S_ISREG(os.fstat(source.fileno()).st_mode):
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


class _Listing:
    """Writes a JSON line for each member and hashes the lines."""

    def __init__(self, target: IO[bytes] | None) -> None:
        self.target = target
        self.digest = sha256()
        self.waiting: list[str] = []

    def __call__(self, member: Member) -> None:
        self.waiting.append(described(member))
        if len(self.waiting) == LINES_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        data = "".join(self.waiting).encode()
        self.waiting.clear()
        self.digest.update(data)
        if self.target is not None:
            self.target.write(data)


def described(member: Member) -> str:
    """Return the line that the list of files has for a member."""
    line = (
        f'{{"path":{_quoted(member.path or b".")},"type":"{member.kind}",'
        f'"mode":"{member.mode:04o}","uid":{member.uid},"gid":{member.gid},'
        f'"mtime":{_quoted(member.mtime.encode())}'
    )
    if member.kind == "file":
        line += f',"size":{member.size},"sha256":"{member.digest}"'
        if b"GNU.sparse.realsize" in member.pax:
            line += ',"sparse":true'
    if member.link:
        line += f',"link":{_quoted(member.link)}'
    extended = sorted(shown(k) for k in member.pax if k.startswith(b"SCHILY."))
    if extended:
        line += f',"extended":{json.dumps(extended)}'
    return line + "}\n"


def _quoted(text: bytes) -> str:
    """Return a name as a JSON string; the usual ones need no escaping."""
    if _USUAL.fullmatch(text):
        return f'"{text.decode("ascii")}"'
    return json.dumps(shown(text))


@contextmanager
def _lines(listing: Path | None) -> Iterator[_Listing]:
    if listing is None:
        yield _Listing(None)
        return
    with listing.open("wb") as target:
        packer = subprocess.Popen(
            ["zstd", "-q", "-c", "-3"],
            stdin=subprocess.PIPE,
            stdout=target,
            bufsize=PIECE,
        )
        yield _Listing(packer.stdin)
        if packer.stdin is not None:
            packer.stdin.close()
        if packer.wait() != 0:
            raise Failed("the list of files could not be written")
        if stat.S_ISREG(os.fstat(target.fileno()).st_mode):
            os.fsync(target.fileno())
