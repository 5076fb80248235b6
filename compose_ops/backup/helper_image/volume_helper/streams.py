"""
Let an archive and a list flow through standard input and output.

A container of an engine on another machine cannot have the task's files. What a request
reads then comes behind it, and what it writes goes out, in blocks: the size in four
bytes, and as many bytes. A block of none is the end.
"""

import os
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from volume_helper.checking import widen
from volume_helper.window import PIECE

SIZE = struct.Struct(">I")
# Far from what else is opened.
_DESCRIPTORS = {"archive": 40, "listing": 41}


def place(name: str) -> Path:
    """Return the path at which a file of the task is read or written meanwhile."""
    return Path(f"/proc/self/fd/{_DESCRIPTORS[name]}")


@contextmanager
def flowing(
    streams: Mapping[str, str], source: IO[bytes], sink: IO[bytes]
) -> Iterator[None]:
    """
    While the block runs, let the *streams* it uses come "in" or go "out".

    One each at most: *source* and *sink* have no names for them.
    """
    with ExitStack() as flows:
        for name, way in streams.items():
            carried = _incoming(name, source) if way == "in" else _outgoing(name, sink)
            flows.enter_context(carried)
        yield


@contextmanager
def _incoming(name: str, source: IO[bytes]) -> Iterator[None]:
    reader, writer = os.pipe()
    with _running(partial(_take, source, writer)), _placed(reader, name):
        yield


@contextmanager
def _outgoing(name: str, sink: IO[bytes]) -> Iterator[None]:
    reader, writer = os.pipe()
    with _running(partial(_give, reader, sink)), _placed(writer, name):
        yield


@contextmanager
def _running(work: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@contextmanager
def _placed(end: int, name: str) -> Iterator[None]:
    """Have one end of a pipe at the place of *name*; what is left then is not read."""
    os.dup2(end, _DESCRIPTORS[name], inheritable=False)
    os.close(end)
    try:
        yield
    finally:
        os.close(_DESCRIPTORS[name])


def _take(source: IO[bytes], writer: int) -> None:
    """Take blocks to their end, also where nobody wants them any more."""
    wanted = True
    with open(writer, "wb", buffering=0) as pipe:
        widen(pipe)
        while block := _next_block(source):
            try:
                view = memoryview(block)
                while wanted and view:
                    view = view[pipe.write(view) :]
            except BrokenPipeError:
                wanted = False


def _next_block(source: IO[bytes]) -> bytes:
    head = source.read(SIZE.size)
    if len(head) < SIZE.size:
        return b""
    (size,) = SIZE.unpack(head)
    return source.read(size)


def _give(reader: int, sink: IO[bytes]) -> None:
    with open(reader, "rb", buffering=0) as pipe:
        widen(pipe)
        while block := pipe.read(PIECE):
            sink.write(SIZE.pack(len(block)))
            sink.write(block)
    sink.write(SIZE.pack(0))
    sink.flush()
