"""A stream as far as it was read and is still looked at."""

from collections.abc import Callable, Iterator
from typing import IO

from volume_helper.failure import Refused

PIECE = 1 << 20

Sink = Callable[[bytes], object]


class Window:
    """
    Shows what lies ahead in *stream*; `data` from `at` on was not taken yet.

    What was taken reaches *sink*, in large pieces, once it was let go.
    """

    def __init__(self, stream: IO[bytes], sink: Sink | None = None) -> None:
        self.stream = stream
        self.sink = sink
        self.data = b""
        self.at = 0
        self._gone = 0

    def look(self, size: int) -> None:
        """Read on until *size* bytes lie ahead, or the stream ends."""
        if len(self.data) - self.at < size:
            self._read_on(size)

    def take(self, size: int) -> bytes:
        """Return the next *size* bytes; Refused when the stream ends before."""
        self.look(size)
        piece = self.data[self.at : self.at + size]
        if len(piece) != size:
            raise Refused("the archive is cut short")
        self.at += size
        return piece

    def release(self) -> None:
        """Let *sink* have all that was taken."""
        self._gone = self.at

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield the next *size* bytes piece by piece, and let each go."""
        while size:
            piece = self._piece(size)
            if not piece:
                raise Refused("the archive is cut short")
            size -= len(piece)
            yield piece

    def rest(self) -> Iterator[bytes]:
        """Yield the stream to its end, and let it go."""
        while piece := self._piece(PIECE):
            yield piece
        self.look(1)

    def _piece(self, most: int) -> bytes:
        """Return what is there without copying it, where that is possible."""
        self.look(1)
        piece = self.data[self.at : self.at + most]
        self.at += len(piece)
        self.release()
        return piece

    def _read_on(self, size: int) -> None:
        if self.sink is not None and self._gone:
            self.sink(self.data[: self._gone])
        kept = self.data[self._gone :]
        self.at -= self._gone
        self._gone = 0
        parts, ahead = [kept] if kept else [], len(kept) - self.at
        while ahead < size and (piece := self.stream.read(PIECE)):
            parts.append(piece)
            ahead += len(piece)
        self.data = b"".join(parts)
