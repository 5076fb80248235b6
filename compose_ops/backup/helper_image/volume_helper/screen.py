"""Which members of an archive may be unpacked into a volume."""

import sys
from dataclasses import dataclass, field

from volume_helper import reserved
from volume_helper.failure import Refused
from volume_helper.headers import Member

ALLOWED = frozenset({"file", "directory", "symlink", "hard link", "fifo"})


@dataclass(slots=True)
class Screen:
    """
    Admits a member, or raises Refused; it remembers what came before.

    Every parent must have come before as a directory, so no member can pass through a
    symbolic link, and none may come twice.
    """

    max_files: int = sys.maxsize
    max_bytes: int = sys.maxsize
    files: int = 0
    size: int = 0
    seen: dict[bytes, bool] = field(default_factory=dict)

    def __call__(self, member: Member) -> None:
        path, name = member.path, member.name
        if name[:1] == b"/" or (member.kind == "hard link" and member.link[:1] == b"/"):
            raise Refused(f"{printable(name)} is an absolute path")
        if not name or (b".." in name and b".." in name.split(b"/")) or b"\0" in name:
            raise Refused(f"{printable(name)} leads out of the volume")
        if member.kind not in ALLOWED:
            raise Refused(f"{printable(name)} is a {member.kind}")
        self._placed(member, path)
        if member.kind == "hard link":
            self._linked(member)
        self.files += 1
        self.size += member.size
        if self.files > self.max_files or self.size > self.max_bytes:
            raise Refused("it holds more than its manifest says")

    def finish(self) -> None:
        """Judge the archive as a whole, at its end."""
        if b"" not in self.seen:
            raise Refused("it does not hold a volume: its top is missing")

    def _placed(self, member: Member, path: bytes) -> None:
        if path in self.seen:
            raise Refused(f"{printable(path)} comes twice")
        parent = path.rpartition(b"/")[0]
        if parent and not self.seen.get(parent):
            raise Refused(f"{printable(path)} has no directory of the archive above it")
        if not path and member.kind != "directory":
            raise Refused("the volume's top is no directory")
        if path.partition(b"/")[0] in reserved.NAMES:
            raise Refused(f"{printable(path)} is reserved for restores")
        self.seen[path] = member.kind == "directory"

    def _linked(self, member: Member) -> None:
        target = member.link.removeprefix(b"./")
        if self.seen.get(target) is not False or target == member.path:
            raise Refused(f"{printable(member.path)} is a hard link to nothing in it")


def printable(name: bytes) -> str:
    """Return a name as it can be printed, whatever its bytes are."""
    return name.decode("utf-8", "backslashreplace").encode("unicode_escape").decode()
