"""Who may read a file of this machine: a container's user, and anybody else."""

import grp
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

READ, ENTER = 0o4, 0o1
EVERYBODY = "every user of this machine"
PEOPLE = range(1000, 65534)
"""Uids of persons; the accounts below are the system's own services."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """Mode, owner and group of a file, as the kernel judges by them."""

    mode: int
    owner: int
    group: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Permissions":
        return cls(status.st_mode & 0o7777, status.st_uid, status.st_gid)

    def owners(self, bits: int) -> bool:
        return self.mode >> 6 & bits == bits

    def groups(self, bits: int) -> bool:
        return self.mode >> 3 & bits == bits

    def others(self, bits: int) -> bool:
        return self.mode & bits == bits

    def allow(self, group: int, bits: int) -> bool:
        """Say whether a member of *group*, who is not the owner, has those bits."""
        return self.groups(bits) if group == self.group else self.others(bits)


@dataclass(frozen=True, slots=True)
class User:
    """The uid and the groups of a service's process, None where nobody can tell."""

    uid: int | None
    groups: frozenset[int] | None = None
    overrides: bool = False

    def may(self, permissions: Permissions, bits: int = READ) -> bool | None:
        """Say whether this user has those bits on a file; None: not known."""
        if self.overrides:
            return True
        if self.uid == permissions.owner:
            return permissions.owners(bits)
        possible = {permissions.groups(bits), permissions.others(bits)}
        if self.groups is not None:
            possible = {self._as_stranger(permissions, bits)}
        if self.uid is None:
            return True if permissions.owners(bits) and possible == {True} else None
        return possible.pop() if len(possible) == 1 else None

    def _as_stranger(self, permissions: Permissions, bits: int) -> bool:
        if permissions.group in (self.groups or ()):
            return permissions.groups(bits)
        return permissions.others(bits)


def readers(path: Path, status: os.stat_result) -> str:
    """Name who else can reach and read a file; empty where nobody else can."""
    above = [(Permissions.of(p.stat()), ENTER) for p in path.resolve().parents]
    return others([(Permissions.of(status), READ), *above], members)


def others(
    chain: Sequence[tuple[Permissions, int]],
    members: Callable[[int, int], Iterable[str]],
) -> str:
    """
    Judge a file and the folders above it, each with the bits that reading it takes.

    *members* names the people of a group other than an owner.
    """
    if all(permissions.others(bits) for permissions, bits in chain):
        return EVERYBODY
    owner = chain[0][0].owner
    for group in sorted({permissions.group for permissions, _ in chain}):
        if all(permissions.allow(group, bits) for permissions, bits in chain):
            names = sorted(members(group, owner))
            if names:
                return f"the group {_name(group)} ({', '.join(names[:3])})"
    return ""


def members(group: int, owner: int) -> set[str]:
    """Return the people of a group, without an owner, root and who asks."""
    accounts = {}
    with suppress(OSError):
        for line in Path("/etc/passwd").read_text().splitlines():
            words = line.split(":")
            accounts[words[0]] = (int(words[2]), int(words[3]))
    found = {n for n, (uid, gid) in accounts.items() if gid == group and uid in PEOPLE}
    with suppress(KeyError):
        found |= set(grp.getgrgid(group).gr_mem)
    known = {owner, 0, os.getuid()}
    return {name for name in found if accounts.get(name, (-1, -1))[0] not in known}


def _name(group: int) -> str:
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)
