"""Read a tar stream member by member: POSIX pax headers as GNU tar writes them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import IO
from zlib import adler32

from jimbot_helper.failure import Refused

BLOCK = 512
PIECE = 1 << 20
PAX_LIMIT = 1 << 20
_EMPTY = bytes(BLOCK)
_SPACES = 8 * 32
_MODULUS = 65521

Sink = Callable[[bytes], object]


@dataclass(slots=True)
class Member:
    """One entry of an archive. `size` is what it takes in the stream, in bytes."""

    name: bytes
    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime: str
    link: bytes
    pax: dict[bytes, bytes]
    digest: str = ""

    @property
    def path(self) -> bytes:
        """The name without what only tar adds: a leading ./ and a trailing slash."""
        plain = self.name.removeprefix(b"./").rstrip(b"/")
        return b"" if plain == b"." else plain


def read_members(
    stream: IO[bytes],
    *,
    admit: Callable[[Member], None],
    sink: Sink | None = None,
    progress: Callable[[int], object] = lambda _size: None,
) -> Iterator[Member]:
    """
    Yield each member with the SHA-256 of its content once that was read.

    *admit* judges a member before anything of it reaches *sink*, which gets the stream
    as it is. Raises Refused for what is no whole tar archive.
    """
    while True:
        head = stream.read(BLOCK)
        if head == _EMPTY:
            _end(stream, head, sink)
            return
        header, pax, raw = _with_extensions(stream, head)
        member = _member(header, pax)
        admit(member)
        if sink is not None:
            sink(raw)
        if member.size:
            member.digest = _content(stream, member.size, sink, progress)
        elif member.kind == "file":
            member.digest = _NOTHING
        yield member


_NOTHING = sha256().hexdigest()
_KINDS = {
    b"0": "file",
    b"\0": "file",
    b"1": "hard link",
    b"2": "symlink",
    b"3": "character device",
    b"4": "block device",
    b"5": "directory",
    b"6": "fifo",
}


def _with_extensions(
    stream: IO[bytes], head: bytes
) -> tuple[bytes, dict[bytes, bytes], bytes]:
    """Return the member's own header, its pax records, and all that was read."""
    pax: dict[bytes, bytes] = {}
    raw = head
    kind = _checked(head)
    while kind == b"x":
        size = _number(head[124:136])
        if size > PAX_LIMIT:
            raise Refused("an extended header is larger than any real one")
        body = _exactly(stream, _padded(size))
        pax |= _records(body[:size])
        head = _exactly(stream, BLOCK)
        raw += body + head
        if len(raw) > 2 * PAX_LIMIT:
            raise Refused("extended headers without end")
        kind = _checked(head)
    return head, pax, raw


def _checked(head: bytes) -> bytes:
    """Return the type of a whole header whose checksum is right."""
    if len(head) != BLOCK:
        raise Refused("the archive is cut short")
    field = head[148:156]
    if (_sum(head) - _sum(field) + _SPACES - _number(field)) % _MODULUS:
        raise Refused("a header's checksum is wrong")
    return head[156:157]


def _sum(data: bytes) -> int:
    """Add up the bytes, modulo 65521: the fast half of Adler-32."""
    return (adler32(data) & 0xFFFF) - 1


def _member(head: bytes, pax: dict[bytes, bytes]) -> Member:
    kind = _KINDS.get(head[156:157])
    if kind is None:
        raise Refused(f"a member of the unknown type {head[156:157]!r}")
    size = _said(pax, b"size", head[124:136])
    if size and kind != "file":
        raise Refused(f"a {kind} with contents")
    name = pax.get(b"GNU.sparse.name") or pax.get(b"path") or _plain_name(head)
    mtime = pax.get(b"mtime")
    return Member(
        name=name,
        kind=kind,
        mode=_number(head[100:108]),
        uid=_said(pax, b"uid", head[108:116]),
        gid=_said(pax, b"gid", head[116:124]),
        size=size,
        mtime=mtime.decode("latin-1") if mtime else str(_number(head[136:148])),
        link=pax.get(b"linkpath") or head[157:257].partition(b"\0")[0],
        pax=pax,
    )


def _said(pax: dict[bytes, bytes], key: bytes, field: bytes) -> int:
    """Return a number that stands in the pax records or else in a header's field."""
    if key not in pax:
        return _number(field)
    if not pax[key].isdigit():
        raise Refused("an extended header's number cannot be read")
    return int(pax[key])


def _plain_name(head: bytes) -> bytes:
    name = head[:100].partition(b"\0")[0]
    prefix = head[345:500].partition(b"\0")[0]
    if prefix and head[257:263] == b"ustar\0":
        return prefix + b"/" + name
    return name


def _records(body: bytes) -> dict[bytes, bytes]:
    """Return keys and values of pax records, each a `LENGTH KEY=VALUE` line."""
    found = {}
    at = 0
    while at < len(body):
        space = body.find(b" ", at, at + 20)
        if space < 0 or not body[at:space].isdigit():
            raise Refused("an extended header cannot be read")
        end = at + int(body[at:space])
        key, sign, value = body[space + 1 : end - 1].partition(b"=")
        if end > len(body) or end <= space or not sign or body[end - 1 : end] != b"\n":
            raise Refused("an extended header cannot be read")
        found[key] = value
        at = end
    return found


@lru_cache(4096)
def _number(field: bytes) -> int:
    """Read an octal field, or GNU's base-256 one."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    digits = field.strip(b" \0") or b"0"
    if digits.translate(None, b"01234567"):
        raise Refused("a header's number cannot be read")
    return int(digits, 8)


def _content(
    stream: IO[bytes], size: int, sink: Sink | None, progress: Callable[[int], object]
) -> str:
    padded = _padded(size)
    if padded <= PIECE:
        data = _exactly(stream, padded)
        if sink is not None:
            sink(data)
        progress(padded)
        return sha256(data[:size]).hexdigest()
    digest = sha256()
    left = size
    while left > 0:
        piece = _exactly(stream, min(left, PIECE))
        digest.update(piece)
        if sink is not None:
            sink(piece)
        progress(len(piece))
        left -= len(piece)
    padding = _exactly(stream, padded - size)
    if sink is not None:
        sink(padding)
    return digest.hexdigest()


def _end(stream: IO[bytes], head: bytes, sink: Sink | None) -> None:
    """Require that nothing but zeros follows the end marker."""
    if sink is not None:
        sink(head)
    while piece := stream.read(PIECE):
        if piece.count(0) != len(piece):
            raise Refused("something lies behind the end of the archive")
        if sink is not None:
            sink(piece)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size) if size else b""
    if len(data) != size:
        raise Refused("the archive is cut short")
    return data


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
