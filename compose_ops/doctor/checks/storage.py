"""Free space on the filesystems of images, volumes and backups."""

from collections.abc import Iterator

from compose_ops.doctor.facts.disks import Disk
from compose_ops.doctor.registry import check
from compose_ops.units import readable_size
from compose_ops.verdicts import Verdict, fail, listed, ok, skip, warn

LEAST_FREE = 1024**3
"""Below this an image layer, a log or a write-ahead file may not fit."""

LEAST_INODES = 10_000
INODE_SHARE = 0.02


@check(
    "disk-space",
    "The disks of images, volumes and backups have space for what is written next.",
    why="On a full disk a store stops in the middle of a write. Counted are missing "
    "images, a store's dump of its memory, the next backup.",
)
def disk_space(disks: tuple[Disk, ...]) -> Iterator[Verdict]:
    for disk in disks:
        if not disk.is_seen:
            yield skip(f"this user has no access to {disk.path}, {listed(disk.holds)}")
            continue
        figures = (
            f"{readable_size(disk.free)} free at {disk.path}, for {listed(disk.holds)}"
        )
        repair = room_repair(disk)
        if disk.free < LEAST_FREE:
            yield fail(
                f"the disk is full: {figures}", repair, about=f"full {disk.path}"
            )
        elif disk.free < sum(disk.needs.values()):
            parts = [f"{what} {readable_size(n)}" for what, n in disk.needs.items()]
            detail = f"{figures}; what is written next may need more: {listed(parts)}"
            yield warn(detail, repair, about=f"short {disk.path}")
        else:
            yield ok(figures)


def room_repair(disk: Disk) -> str:
    """Return the command that removes unused data; it asks for confirmation."""
    if disk.holds == ("backups",):
        return "invoke prune --keep-last 2"
    return "docker image prune && docker builder prune"


@check(
    "inodes",
    "Those disks have free inodes.",
    why="Without a free inode no file can be created, however much space is free.",
)
def inodes(disks: tuple[Disk, ...]) -> Iterator[Verdict]:
    counted = [disk for disk in disks if disk.inodes]
    for disk in counted:
        least = min(LEAST_INODES, disk.inodes * INODE_SHARE)
        if disk.inodes_free < least:
            yield fail(
                f"{disk.inodes_free} of {disk.inodes} inodes are free at {disk.path}",
                room_repair(disk),
                about=f"inodes {disk.path}",
            )
    if counted:
        share = min(d.inodes_free / d.inodes for d in counted)
        yield ok(f"{share:.0%} of the inodes are free")
