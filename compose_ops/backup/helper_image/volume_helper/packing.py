"""Let tar write a stream into zstd or gzip."""

import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from volume_helper.checking import widen
from volume_helper.failure import Failed
from volume_helper.window import PIECE

NAMES_AT_ONCE = 1000
MARK = b"/proc/self/fd/none"  # nothing can be there
# The container may have 64 processes, and zstd gives up where it gets no thread.
MAX_THREADS = 16
GONE = rb"[Ff]ile removed before we read it|Cannot stat: No such file"
# What tar may say of a volume that is written to: files may grow, or go, under a native
# copy; under one that is only crash consistent they may shrink, too.
NONE = rb"socket ignored"
GROWTH = NONE + rb"|file changed as we read it|Exiting with failure status|" + GONE
TOLERATED = {
    "none": re.compile(NONE),
    "growth": re.compile(GROWTH),
    "any": re.compile(GROWTH + rb"|shrank by"),
}


@dataclass(frozen=True, slots=True)
class Source:
    """
    What tar reads, how, and what it may say meanwhile.

    `names` are paths in `volume`, empty where tar finds them itself. Once all of these
    were read, `then` returns what is to be read after them.
    """

    volume: Path
    command: Sequence[str]
    names: Sequence[bytes]
    tolerated: re.Pattern[bytes]
    then: Callable[[], Iterable[bytes]] | None = None


def write(
    source: Source, archive: Path, compression: str, progress: Callable[[int], object]
) -> bool:
    """
    Pack what tar reads into *archive*; say whether all of it was still there.

    Raises Failed.
    """
    with (
        archive.open("wb") as file,
        subprocess.Popen(
            compressor(compression), stdin=subprocess.PIPE, stdout=file, bufsize=0
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
        listener = Listener()
        feeder = Feeder(source, listener)
        aside = (
            threading.Thread(target=feeder.feed, args=(tar.stdin,)),
            threading.Thread(target=listener.listen, args=(tar.stderr,)),
        )
        for thread in aside:
            thread.start()
        broken = not _passed_on(tar.stdout, packer.stdin, progress)
        codes = (tar.wait(), packer.wait())
        for thread in aside:
            thread.join()
    if feeder.fault is not None:
        raise feeder.fault
    _judge(codes, listener.said, source.tolerated, broken=broken)
    return not any(re.search(GONE, line) for line in listener.said)


def compressor(compression: str) -> list[str]:
    """Return the command that compresses stdin to stdout, on many processors."""
    if compression == "gzip":
        return ["gzip", "-c", "-6", "-n"]
    threads = min(len(os.sched_getaffinity(0)), MAX_THREADS)
    return ["zstd", "-q", "-c", "-3", f"-T{threads}"]


def _passed_on(
    source: IO[bytes] | None, sink: IO[bytes] | None, progress: Callable[[int], object]
) -> bool:
    """Let the stream go by inside the kernel; False when its reader has ended."""
    if source is None or sink is None:
        return False
    widen(source)
    widen(sink)
    try:
        with source, sink:
            while size := os.splice(source.fileno(), sink.fileno(), PIECE):
                progress(size)
    except BrokenPipeError:
        return False
    return True


@dataclass(slots=True)
class Listener:
    """Keeps what tar complains of; `marked` is set when it comes to MARK, or ends."""

    said: list[bytes] = field(default_factory=list)
    marked: threading.Event = field(default_factory=threading.Event)
    came: bool = False

    def listen(self, pipe: IO[bytes] | None) -> None:
        for line in pipe or ():
            if MARK in line:
                self.came = True
                self.marked.set()
            else:
                self.said.append(line.strip())
        self.marked.set()


@dataclass(slots=True)
class Feeder:
    """Gives tar the names of a source; `fault` kept it from the last of them."""

    source: Source
    listener: Listener
    fault: Exception | None = None

    def feed(self, pipe: IO[bytes] | None) -> None:
        if pipe is None:
            return
        with suppress(BrokenPipeError), pipe:
            names = self.source.names
            listed = [b"." if name == b"." else b"./" + name for name in names]
            _give(pipe, listed)
            if self.source.then is not None:
                self._go_on(pipe, self.source.then)

    def _go_on(self, pipe: IO[bytes], then: Callable[[], Iterable[bytes]]) -> None:
        """
        Give what comes after all else was read.

        tar reads a file to its end before it takes the next name, and complains at once
        of one that is not there.
        """
        _give(pipe, [MARK])
        self.listener.marked.wait()
        if not self.listener.came:
            return
        try:
            more = list(then())
        except (Failed, OSError, ValueError) as fault:
            self.fault = fault
        else:
            _give(pipe, more)


def _give(pipe: IO[bytes], names: Sequence[bytes]) -> None:
    for at in range(0, len(names), NAMES_AT_ONCE):
        pipe.write(b"".join(name + b"\0" for name in names[at : at + NAMES_AT_ONCE]))
    pipe.flush()


def _judge(
    codes: tuple[int, int],
    said: Sequence[bytes],
    tolerated: re.Pattern[bytes],
    *,
    broken: bool,
) -> None:
    tar, packer = codes
    faults = [line for line in said if not tolerated.search(line)]
    if packer != 0:
        raise Failed("the archive could not be written: is the destination full?")
    if faults:
        words = faults[0].decode(errors="replace")
        raise Failed(f"the volume could not be read: {words}")
    if broken or tar not in {0, 1, 2}:
        raise Failed(f"the volume could not be read: exit code {tar}")
