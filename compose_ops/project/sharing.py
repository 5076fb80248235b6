"""
Who may read what tasks keep: the user who ran one, or a group where a folder says so.

A folder that its group may write to and whose set-group-id bit is set is shared: what
is made in it belongs to that group and is open to it, whoever made it and whatever the
umask is. Root by a timer and operators then work on the same state and the same sets.
Anything else is closed to all but its maker; nothing is ever open to everybody.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SHARED = stat.S_ISGID | stat.S_IWGRP
PRIVATE_FOLDER, SHARED_FOLDER = 0o700, 0o2770
PRIVATE_FILE, SHARED_FILE = 0o600, 0o660
MOUNTS = Path("/proc/self/mountinfo")


def is_shared(folder: Path) -> bool:
    """Say whether *folder* gives what is made in it to its group."""
    return folder.stat().st_mode & SHARED == SHARED


def file_mode(folder: Path) -> int:
    """Return the mode of a file that is made in *folder*."""
    return SHARED_FILE if is_shared(folder) else PRIVATE_FILE


def make_folder(folder: Path) -> tuple[Path, ...]:
    """
    Make a folder and what is above it; return what was made, the highest first.

    Raises OSError where that is not possible.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        mode = SHARED_FOLDER if is_shared(path.parent) else PRIVATE_FOLDER
        with suppress(FileExistsError):
            path.mkdir(mode=PRIVATE_FOLDER)
            path.chmod(mode)
    return tuple(reversed(missing))


def open_to_others(path: Path) -> str:
    """Return to whom else a file or folder is open, "" for nobody."""
    state = path.stat()
    if state.st_mode & stat.S_IRWXO:
        return "every user of this machine"
    shared = is_shared(path if path.is_dir() else path.parent)
    if state.st_mode & stat.S_IRWXG and not shared:
        return f"the group {state.st_gid}"
    return ""


def filesystem(path: Path) -> str:
    """
    Return the type of the filesystem that a path lies on, "" where that is unknown.

    >>> filesystem(Path("/proc"))
    'proc'
    """
    with suppress(OSError):
        device = path.stat().st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        return next((kind for one, kind in _mounts() if one == wanted), "")
    return ""


def _mounts() -> Iterator[tuple[str, str]]:
    """Yield device and type of each mounted filesystem, the last mounted first."""
    for line in reversed(MOUNTS.read_text(errors="replace").splitlines()):
        before, _, after = line.partition(" - ")
        yield before.split()[2], after.split()[0]
