"""
A copy of a volume's data beside it, and back: for a version that may spoil the data.

The copy lies where a restore keeps what it moved aside (`previous`), so that
`invoke restore --undo` brings it back, too. Every step can be repeated.
"""

import os
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from volume_helper import copying, reserved, swapping
from volume_helper.failure import Failed

# What is copied to find out how fast that is.
SAMPLE = 32 << 20
PIECE = 1 << 20


def estimate(volume: Path) -> dict[str, Any]:
    """
    Return what a copy takes: its bytes and files, whether they are shared, its speed.

    {"bytes", "files", "free", "reflinks", "rate"}; the rate is bytes a second, of a
    sample that is written and removed again.
    """
    space = os.statvfs(volume)
    largest, most, files = b"", 0, 0
    for path, state in copying.walk(volume):
        files += 1
        if stat.S_ISREG(state.st_mode) and state.st_size > most:
            largest, most = path, state.st_size
    holder = _holder(volume)
    trial = holder / ".trial"
    try:
        rate, shared = _tried(volume / os.fsdecode(largest), trial, most)
    finally:
        trial.unlink(missing_ok=True)
        _remove_empty(holder)
    return {
        "bytes": copying.occupied(volume),
        "files": files,
        "free": space.f_bavail * space.f_frsize,
        "reflinks": shared,
        "rate": rate,
    }


def _tried(source: Path, trial: Path, size: int) -> tuple[float, bool]:
    """Copy the beginning of a file; return bytes a second, and whether it can share."""
    if not size:
        return float(SAMPLE), False
    begin, done = time.monotonic(), 0
    with source.open("rb") as data, trial.open("wb") as copy:
        while done < SAMPLE and (piece := data.read(PIECE)):
            done += copy.write(piece)
        copy.flush()
        os.fsync(copy.fileno())
    rate = max(done, 1) / max(time.monotonic() - begin, 1e-3)
    again = trial.with_name(".shared")
    shares = subprocess.run(
        ["cp", "--reflink=always", "--", trial, again], capture_output=True, check=False
    )
    again.unlink(missing_ok=True)
    return rate, shares.returncode == 0


def keep(volume: Path, point: str) -> dict[str, Any]:
    """
    Copy the data, by shared blocks where the filesystem can; return its bytes.

    Raises Failed, with nothing left, where the copy is not the same.
    """
    folder = swapping.renew(volume, point)
    copy = folder / "copy"
    names = swapping.present(volume)
    copy.mkdir(mode=0o700)
    try:
        _copy(volume, names, copy)
    except BaseException:
        swapping.discard(volume, point)
        raise
    swapping.dress(volume, copy)
    if subprocess.run(["sync", "-f", volume], check=False).returncode != 0:
        raise Failed("the volume could not be synchronised")
    copy.rename(folder / "previous")
    return {"bytes": sum(size for _, size in _listed(folder / "previous"))}


def _copy(volume: Path, names: list[str], target: Path) -> None:
    if not names:
        return
    words = ["cp", "--archive", "--reflink=auto", "--one-file-system"]
    done = subprocess.run(
        [*words, f"--target-directory={target}", "--", *names],
        cwd=volume,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise Failed(f"the data could not be copied: {(said or ['cp failed'])[-1]}")
    if _listed(volume) != _listed(target):
        raise Failed("the data changed while it was copied")


def _listed(folder: Path) -> list[tuple[bytes, int]]:
    """Return the paths of all there is, and the sizes of files."""
    found: Iterator[tuple[bytes, os.stat_result]] = copying.walk(folder)
    return sorted(
        (path, state.st_size if stat.S_ISREG(state.st_mode) else 0)
        for path, state in found
    )


def bring_back(volume: Path, point: str) -> None:
    """Put the copy in the place of the data; what is there then is removed."""
    folder = swapping.place(volume, point)
    if folder.is_dir():
        if not (folder / "names.json").exists() and not (folder / "staged").exists():
            if not (folder / "previous").is_dir():
                raise Failed("the copy from before the update is gone")
            (folder / "previous").rename(folder / "staged")
        swapping.swap_in(volume, point)
    with suppress(Failed):  # the data is back
        swapping.discard(volume, point)


def _holder(volume: Path) -> Path:
    holder = volume / os.fsdecode(reserved.NAME)
    holder.mkdir(mode=0o700, exist_ok=True)
    return holder


def _remove_empty(holder: Path) -> None:
    try:
        holder.rmdir()
    except OSError:
        return
