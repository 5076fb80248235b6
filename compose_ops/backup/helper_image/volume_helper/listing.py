"""The list of an archive's members: a JSON line each, and a hash of all lines."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import IO

from volume_helper.failure import Failed
from volume_helper.headers import Member
from volume_helper.screen import printable
from volume_helper.window import PIECE

LINES_AT_ONCE = 500
_USUAL = re.compile(rb"[A-Za-z0-9 ._/:@%+=,~#-]+").fullmatch


class Listing:
    """Writes a JSON line for each member and hashes the lines."""

    def __init__(self, target: IO[bytes] | None) -> None:
        self.target = target
        self.digest = sha256()
        self.waiting: list[str] = []

    def __call__(self, member: Member) -> None:
        self.waiting.append(described(member))
        if len(self.waiting) == LINES_AT_ONCE:
            self.flush()

    def close(self) -> None:
        """Write what is left; only then `digest` is that of the whole list."""
        self.flush()
        if self.target is not None:
            self.target.close()

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
        f'{_owned(member.mode, member.uid, member.gid)},"mtime":"{member.mtime}"'
    )
    if member.kind == "file":
        line += f',"size":{member.size},"sha256":"{member.digest}"'
    if member.pax or member.link:
        line += _further(member)
    return line + "}\n"


def _further(member: Member) -> str:
    line = ',"sparse":true' if b"GNU.sparse.realsize" in member.pax else ""
    if member.link:
        line += f',"link":{_quoted(member.link)}'
    extended = sorted(printable(k) for k in member.pax if k.startswith(b"SCHILY."))
    return line + (f',"extended":{json.dumps(extended)}' if extended else "")


@lru_cache(4096)
def _owned(mode: int, uid: int, gid: int) -> str:
    return f'"mode":"{mode:04o}","uid":{uid},"gid":{gid}'


def _quoted(text: bytes) -> str:
    """Return a name as a JSON string; the usual ones need no escaping."""
    if _USUAL(text):
        return f'"{text.decode("ascii")}"'
    return json.dumps(printable(text))


@contextmanager
def written(listing: Path | None) -> Iterator[Listing]:
    """Yield what makes the list, and writes it compressed; Failed when it cannot be."""
    if listing is None:
        lines = Listing(None)
        yield lines
        lines.close()
        return
    with (
        listing.open("wb") as target,
        subprocess.Popen(
            ["zstd", "-q", "-c", "-3"],
            stdin=subprocess.PIPE,
            stdout=target,
            bufsize=PIECE,
        ) as packer,
    ):
        lines = Listing(packer.stdin)
        try:
            yield lines
            lines.close()
        except BrokenPipeError:
            raise Failed("the list of files could not be written") from None
    if packer.returncode != 0:
        raise Failed("the list of files could not be written")
