"""Read a tar stream member by member, with the hash of each one's contents."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import IO

from volume_helper.failure import Refused
from volume_helper.headers import Member, next_member, padded
from volume_helper.window import PIECE, Sink, Window

_NOTHING = sha256().hexdigest()

Progress = Callable[[int], object]


def read_members(
    stream: IO[bytes],
    *,
    admit: Callable[[Member], None],
    sink: Sink | None = None,
    progress: Progress = lambda _size: None,
) -> Iterator[Member]:
    """
    Yield each member with the SHA-256 of its content once that was read.

    *admit* judges a member before anything of it reaches *sink*, which gets the stream
    as it is. Raises Refused for what is no whole tar archive.
    """
    window = Window(stream, sink)
    while (member := next_member(window)) is not None:
        admit(member)
        if member.size:
            member.digest = _content(window, member.size, progress)
        elif member.kind == "file":
            member.digest = _NOTHING
        window.release()
        yield member
    for piece in window.rest():
        if piece.count(0) != len(piece):
            raise Refused("something lies behind the end of the archive")


def _content(window: Window, size: int, progress: Progress) -> str:
    whole = padded(size)
    if whole <= PIECE:
        data = window.take(whole)
        progress(whole)
        return sha256(data[:size]).hexdigest()
    digest, left = sha256(), size
    for piece in window.pieces(whole):
        digest.update(piece if left >= len(piece) else piece[:left])
        left = max(left - len(piece), 0)
        progress(len(piece))
    return digest.hexdigest()
