"""
Read the headers of a tar stream: POSIX pax ones as GNU tar writes them.

Source: the pax interchange format in POSIX.1-2017, and "Basic Tar Format" in GNU tar's
manual. A header whose checksum is wrong is refused: tar would look for the next one
inside of what we take for a file's content.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from zlib import adler32

from volume_helper.failure import Refused
from volume_helper.window import Window

BLOCK = 512
PAX_LIMIT = 1 << 20
WRONG_SUM = "a header's checksum is wrong"
_EMPTY = bytes(BLOCK)
_SPACES = 8 * 32
_SLASH = ord("/")

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


@dataclass(slots=True)
class Member:
    """
    One entry of an archive. `size` is what it takes in the stream, in bytes.

    `path` is the name without what only tar adds: a leading ./ and a trailing slash.
    """

    name: bytes
    path: bytes
    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime: str
    link: bytes
    pax: dict[bytes, bytes]
    digest: str = ""


# Almost every member: a file whose extended header holds a time below a second and
# nothing else. To see that at once takes a third of reading field by field. Behind the
# fields in use all must be zeros, so that there is little to add up.
_USUAL = re.compile(
    rb"""
    .{124} 0000([0-7]{7})\0 .{12} ([0-7]{6})\0[ ] x \0{100} ustar\x0000 \0{247}
    (?= (\d\d)[ ]mtime=(\d+\.\d+)\n\0 ) .{512}
    (?= (\./([^\0]{1,98}))\0 ) .{100} ((?:[0-7]{7}\0){3}) ([0-7]{11})\0 .{12}
    ([0-7]{6})\0[ ] 0 \0{100} ustar\x0000 \0{64} .{16} \0{167}
    """,
    re.DOTALL | re.VERBOSE,
).match
_USUAL_SIZE = 3 * BLOCK
_FIRST_USED = 265
_SECOND = 2 * BLOCK
_SECOND_USED = _SECOND + 345
_TIME_RECORD = len(b"00 mtime=\n")
_TIME = re.compile(rb"-?\d+(?:\.\d+)?").fullmatch
_NO_RECORDS: dict[bytes, bytes] = {}


def next_member(window: Window) -> Member | None:
    """Take the next member's headers; None for the mark that ends an archive."""
    window.look(_USUAL_SIZE)
    member = _usual_member(window.data, window.at)
    if member is None:
        return _any_member(window)
    window.at += _USUAL_SIZE
    return member


def _usual_member(data: bytes, at: int) -> Member | None:
    """Read two headers of the usual form at once; None where they have another."""
    found = _USUAL(data, at)
    if found is None:
        return None
    record, first, length, mtime, name, path, owner, size, second = found.groups()
    if not int(record, 8) == int(length) == len(mtime) + _TIME_RECORD:
        return None
    _check_sum(data[at : at + _FIRST_USED], first)
    _check_sum(data[at + _SECOND : at + _SECOND_USED], second)
    return Member(
        name,
        path if path[-1] != _SLASH else _plain(name),
        "file",
        *_owner(owner),
        int(size, 8),
        mtime.decode("ascii"),
        b"",
        _NO_RECORDS,
    )


def _check_sum(header: bytes, digits: bytes) -> None:
    """
    Refuse a header whose checksum is not *digits*.

    The lower half of Adler-32 is the sum and one; here it stays below its modulus.
    """
    if adler32(header) & 0xFFFF != _adler_of(digits):
        raise Refused(WRONG_SUM)


@lru_cache(4096)
def _adler_of(digits: bytes) -> int:
    """
    Return the lower half of the Adler-32 of a header with this checksum.

    The checksum counts eight spaces in the place of the digits, a NUL and a space.
    """
    return int(digits, 8) - _SPACES + sum(digits) + ord(" ") + 1


@lru_cache(4096)
def _owner(fields: bytes) -> tuple[int, int, int]:
    """Read mode, user and group, eight bytes each."""
    return int(fields[:7], 8), int(fields[8:15], 8), int(fields[16:23], 8)


def _any_member(window: Window) -> Member | None:
    head = window.take(BLOCK)
    if head == _EMPTY:
        return None
    if _checked(head) != b"x":
        return _member(head, {})
    size = _number(head[124:136])
    if size > PAX_LIMIT:
        raise Refused("an extended header is larger than any real one")
    pax = _records(window.take(padded(size))[:size])
    # A second one is an unknown type: readers differ on which of them counts.
    head = window.take(BLOCK)
    _checked(head)
    return _member(head, pax)


def padded(size: int) -> int:
    """Return how much contents of *size* bytes take in the stream."""
    return -(-size // BLOCK) * BLOCK


def _checked(head: bytes) -> bytes:
    """Return the type of a header whose checksum is right."""
    field = head[148:156]
    if _sum(head) - sum(field) + _SPACES != _number(field):
        raise Refused(WRONG_SUM)
    return head[156:157]


def _sum(data: bytes) -> int:
    """Add up the bytes of a header; where half are zeros Adler-32 does not wrap."""
    if data.count(0) < BLOCK // 2:
        return sum(data)
    return (adler32(data) & 0xFFFF) - 1


def _member(head: bytes, pax: dict[bytes, bytes]) -> Member:
    kind = _KINDS.get(head[156:157])
    if kind is None:
        raise Refused(f"a member of the unknown type {head[156:157]!r}")
    size = _said(pax, b"size", head[124:136])
    if size and kind != "file":
        raise Refused(f"a {kind} with contents")
    name = pax.get(b"GNU.sparse.name") or pax.get(b"path") or _plain_name(head)
    mtime = pax.get(b"mtime") or b"%d" % _number(head[136:148])
    if not _TIME(mtime):
        raise Refused("an extended header's time cannot be read")
    return Member(
        name=name,
        path=_plain(name),
        kind=kind,
        mode=_number(head[100:108]),
        uid=_said(pax, b"uid", head[108:116]),
        gid=_said(pax, b"gid", head[116:124]),
        size=size,
        mtime=mtime.decode("ascii"),
        link=pax.get(b"linkpath") or head[157:257].partition(b"\0")[0],
        pax=pax,
    )


def _plain(name: bytes) -> bytes:
    path = name.removeprefix(b"./").rstrip(b"/")
    return b"" if path == b"." else path


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
