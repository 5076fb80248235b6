"""Let tar write a stream into zstd or gzip, and read along what goes by."""

import os
import re
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import IO, Any

from jimbot_helper.checking import widen
from jimbot_helper.failure import Failed
from jimbot_helper.listing import Listing
from jimbot_helper.members import PIECE, read_members
from jimbot_helper.screen import Screen

NAMES_AT_ONCE = 1000
COMPRESS = {
    "zstd": ["zstd", "-q", "-c", "-3", "-T0"],
    "gzip": ["gzip", "-c", "-6", "-n"],
}
# What tar may say of a volume that is written to: files may grow under a native copy;
# under one that is only crash consistent they may go, too.
TOLERATED = {
    "none": re.compile(rb"socket ignored"),
    "growth": re.compile(rb"socket ignored|file changed as we read it"),
    "any": re.compile(
        rb"socket ignored|file changed as we read it|[Ff]ile removed before we read it"
        rb"|Cannot stat: No such file|Exiting with failure status|shrank by"
    ),
}


@dataclass(frozen=True, slots=True)
class Source:
    """What tar reads, how, and what it may say meanwhile."""

    volume: Path
    command: Sequence[str]
    names: Sequence[bytes]
    tolerated: re.Pattern[bytes]


@dataclass(frozen=True, slots=True)
class Target:
    """Where the stream goes, and who judges and notes each member on its way."""

    archive: Path
    compression: str
    screen: Screen
    lines: Listing


def write(source: Source, into: Target, progress: Callable[[int], object]) -> None:
    """Pack what tar reads, while each member is judged and noted. Raises Failed."""
    with (
        into.archive.open("wb") as file,
        subprocess.Popen(
            COMPRESS[into.compression], stdin=subprocess.PIPE, stdout=file, bufsize=0
        ) as packer,
        subprocess.Popen(
            source.command,
            cwd=source.volume,
            stdin=subprocess.PIPE if source.names else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        ) as tar,
    ):
        said: list[bytes] = []
        aside = (
            threading.Thread(target=_feed, args=(tar.stdin, source.names)),
            threading.Thread(target=_listen, args=(tar.stderr, said)),
        )
        for thread in aside:
            thread.start()
        fault = _pass_on(tar.stdout, packer.stdin, into, progress)
        codes = (tar.wait(), packer.wait())
        for thread in aside:
            thread.join()
    _judge(codes, said, fault, source.tolerated)


def _pass_on(
    source: IO[bytes] | None,
    sink: IO[bytes] | None,
    into: Target,
    progress: Callable[[int], object],
) -> Exception | None:
    """Read the stream while it goes by; return what broke it off. Closes both ends."""
    if source is None or sink is None:
        return Failed("tar did not start")
    widen(source)
    widen(sink)
    try:
        with source, sink:
            stream = BufferedReader(Tee(source, sink), PIECE)
            members = read_members(stream, admit=into.screen, progress=progress)
            for member in members:
                into.lines(member)
            into.screen.finish()
    except (BrokenPipeError, Failed) as fault:
        return fault
    return None


class Tee(RawIOBase):
    """A stream that writes to *sink* whatever is read of it."""

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        self.source = source
        self.sink = sink

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = os.readv(self.source.fileno(), [buffer])
        left = memoryview(buffer)[:size]
        while left:
            left = left[os.write(self.sink.fileno(), left) :]
        return size


def _feed(pipe: IO[bytes] | None, names: Sequence[bytes]) -> None:
    if pipe is None:
        return
    with suppress(BrokenPipeError), pipe:
        listed = [b"." if name == b"." else b"./" + name for name in names]
        for at in range(0, len(listed), NAMES_AT_ONCE):
            pipe.write(b"".join(n + b"\0" for n in listed[at : at + NAMES_AT_ONCE]))


def _listen(pipe: IO[bytes] | None, said: list[bytes]) -> None:
    said.extend(line.strip() for line in pipe or ())


def _judge(
    codes: tuple[int, int],
    said: Sequence[bytes],
    fault: Exception | None,
    tolerated: re.Pattern[bytes],
) -> None:
    tar, packer = codes
    faults = [line for line in said if not tolerated.search(line)]
    if packer != 0:
        raise Failed("the archive could not be written: is the destination full?")
    if faults:
        words = faults[0].decode(errors="replace")
        raise Failed(f"the volume could not be read: {words}")
    if isinstance(fault, Failed):
        raise fault
    if fault or tar not in {0, 1, 2}:
        raise Failed(f"the volume could not be read: exit code {tar}")
