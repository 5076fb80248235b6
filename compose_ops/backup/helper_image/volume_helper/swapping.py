"""
Put unpacked data in the place of what a volume holds, and back, by renames alone.

A restore keeps three things in `.compose-ops-restore/<id>/` of the volume: `staged`
(what is to come in), `previous` (what was moved out) and `names.json` (what each held
before the first rename). Every step can be repeated after any interruption.

What is to be removed first gets a name that no restore has: where the removal is cut
off, nothing offers the rest as data, and the next helper finishes it.
"""

import json
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

from volume_helper import removing, reserved
from volume_helper.failure import Failed

REMOVED = ".removed-"


def place(volume: Path, restore: str) -> Path:
    """Return the folder of one restore in the volume, also of the version before."""
    if not restore.replace("-", "").isalnum():
        raise Failed("that is no id of a restore")
    folders = [holder / restore for holder in _holders(volume)]
    return next(filter(Path.exists, folders), folders[0])


def _holders(volume: Path) -> list[Path]:
    """Return where restores keep data, where new ones do first."""
    names = sorted(reserved.NAMES, key=lambda name: name != reserved.NAME)
    return [volume / os.fsdecode(name) for name in names]


def prepare(volume: Path, restore: str) -> Path:
    """Make the empty folder that data is unpacked into."""
    staged = renew(volume, restore) / "staged"
    staged.mkdir(mode=0o700)
    return staged


def renew(volume: Path, restore: str) -> Path:
    """Make the empty folder of a restore in place of any that is there."""
    folder = place(volume, restore)
    _give_up(folder)
    _try_to_finish_removals(volume)
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700)
    return folder


def swap_in(volume: Path, restore: str) -> None:
    """Move the present data out and the staged data in."""
    folder = place(volume, restore)
    staged, previous = folder / "staged", folder / "previous"
    note = folder / "names.json"
    if not note.exists():
        if not staged.is_dir():
            raise Failed("nothing is staged in the volume")
        previous.mkdir(mode=0o700, exist_ok=True)
        dress(volume, previous)
        _write(note, {"old": present(volume), "new": sorted(os.listdir(staged))})
    names = _read(note)
    if len(os.listdir(staged)) == len(names["new"]):
        for name in names["old"]:
            _move(volume / name, previous / name)
        _sync(previous)
    for name in names["new"]:
        _move(staged / name, volume / name)
    dress(staged, volume)
    _sync(volume)


def swap_out(volume: Path, restore: str) -> None:
    """Undo swap_in, from wherever it had come to; what had come in is staged."""
    folder = place(volume, restore)
    previous, returned = folder / "previous", folder / "returned"
    note, leaving = folder / "names.json", folder / "leaving.json"
    if note.exists():
        returned.mkdir(mode=0o700, exist_ok=True)
        if not leaving.exists():
            _write(leaving, {"names": _arrived(volume, previous, _read(note)["old"])})
        for name in _read(leaving)["names"]:
            _move(volume / name, returned / name)
        _sync(returned)
        for name in os.listdir(previous):
            _move(previous / name, volume / name)
        dress(previous, volume)
        _sync(volume)
        note.unlink()
    # Only now: until the note is gone, what was returned must be found where it is.
    if returned.is_dir():
        (folder / "staged").mkdir(mode=0o700, exist_ok=True)
        for name in os.listdir(returned):
            _move(returned / name, folder / "staged" / name)


def present(volume: Path) -> list[str]:
    """Return the names at the top of the volume that are data of its store."""
    left_out = {os.fsdecode(name) for name in reserved.LEFT_OUT}
    return sorted(name for name in os.listdir(volume) if name not in left_out)


def _arrived(volume: Path, previous: Path, old: list[str]) -> list[str]:
    """
    Return what of the volume's top is not the data from before the restore.

    That is what came in with the restore, and what a store wrote that was started in
    the middle of it: all but the old names that have not moved out yet.
    """
    waiting = set(old) - set(os.listdir(previous))
    return [name for name in present(volume) if name not in waiting]


def adopt(volume: Path, restore: str, earlier: str) -> None:
    """Stage what an *earlier* restore had moved out, to bring it back."""
    source = place(volume, earlier) / "previous"
    folder = place(volume, restore)
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if not (folder / "staged").exists():
        if not source.is_dir():
            raise Failed("what that restore had moved aside is gone")
        source.rename(folder / "staged")
        _sync(folder)


def release(volume: Path, restore: str, earlier: str) -> None:
    """Give back what adopt took, after swap_out."""
    folder, source = place(volume, restore), place(volume, earlier) / "previous"
    if (folder / "staged").is_dir() and source.parent.is_dir() and not source.exists():
        (folder / "staged").rename(source)
    discard(volume, restore)


def commit(volume: Path, restore: str) -> bool:
    """Drop what a finished restore needs no more; say whether previous data stays."""
    folder = place(volume, restore)
    with suppress(Failed):
        removing.remove(folder / "staged")
    if not (folder / "previous").is_dir() or not os.listdir(folder / "previous"):
        discard(volume, restore)
        return False
    _try_to_finish_removals(volume)
    return True


def discard(volume: Path, restore: str) -> None:
    """
    Remove what a restore keeps in the volume; the holder, too, once it is empty.

    Raises Failed where some of it could not be removed; it is no restore's any more.
    """
    _give_up(place(volume, restore))
    _finish_removals(volume)
    for holder in _holders(volume):
        with suppress(OSError):
            holder.rmdir()


def _give_up(folder: Path) -> None:
    if folder.exists():
        name = f"{REMOVED}{folder.name}-{token_hex(4)}"
        folder.rename(folder.with_name(name))
        _sync(folder.parent)


def _finish_removals(volume: Path) -> None:
    """Remove what was given up, also by a helper that was killed. Raises Failed."""
    for holder in _holders(volume):
        for folder in sorted(holder.glob(f"{REMOVED}*")):
            removing.remove(folder)


def _try_to_finish_removals(volume: Path) -> None:
    with suppress(Failed):
        _finish_removals(volume)


def held(volume: Path) -> dict[str, Any]:
    """Return {restore id: {"staged", "previous", "swapped"}} of all that is there."""
    return {
        folder.name: {
            "staged": (folder / "staged").is_dir(),
            "previous": (folder / "previous").is_dir(),
            "swapped": (folder / "names.json").exists(),
        }
        for holder in _holders(volume)
        if holder.is_dir()
        for folder in sorted(holder.iterdir())
        if not folder.name.startswith(".")
    }


def _move(source: Path, target: Path) -> None:
    """Rename once: what has arrived, or was never there, is left."""
    if os.path.lexists(source) and not os.path.lexists(target):
        source.rename(target)


def dress(source: Path, target: Path) -> None:
    """Give *target* the owner, mode, times and attributes of *source*."""
    state = source.stat()
    os.chown(target, state.st_uid, state.st_gid)
    for name in os.listxattr(target):
        if name not in os.listxattr(source):
            os.removexattr(target, name)
    shutil.copystat(source, target)
    target.chmod(stat.S_IMODE(state.st_mode))


def _write(note: Path, names: dict[str, list[str]]) -> None:
    partial = note.with_suffix(".partial")
    safe = {key: [_safe(name) for name in found] for key, found in names.items()}
    with partial.open("w") as file:
        json.dump(safe, file)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(note)
    _sync(note.parent)


def _read(note: Path) -> dict[str, list[str]]:
    data: dict[str, list[str]] = json.loads(note.read_text())
    return {
        key: [os.fsdecode(bytes.fromhex(name)) for name in found]
        for key, found in data.items()
    }


def _safe(name: str) -> str:
    """Keep names as hex: they may hold any byte."""
    return os.fsencode(name).hex()


def _sync(folder: Path) -> None:
    if not folder.is_dir():
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
