"""Copy a volume: what of it, in which order, and whether it held still meanwhile."""

import os
import re
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from volume_helper import reserved
from volume_helper.checking import Progress
from volume_helper.failure import Failed
from volume_helper.packing import TOLERATED, Source, write

RECORD = 64 << 10


@dataclass(frozen=True, slots=True)
class Session:
    """
    What ends the time in which a running store may be copied.

    `stop` is called once all but the paths of the patterns `after` was read; it returns
    files that belong to the copy, by path. Then the paths of `after` are read.
    """

    after: Sequence[str]
    stop: Callable[[], Mapping[str, bytes]]


def occupied(volume: Path) -> int:
    """Return the bytes that *volume* occupies, without what restores keep there."""
    done = subprocess.run(
        [*("du", "-s", "-B1", "-x"), *excluding(reserved.NAMES), "."],
        cwd=volume,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0 and not done.stdout:
        raise Failed("the volume could not be read")
    return int(done.stdout.split()[0])


def excluding(names: Iterable[bytes]) -> Iterator[str]:
    """Yield the options that leave out *names* at the top, for du and tar."""
    return (f"--exclude=./{os.fsdecode(name)}" for name in sorted(names))


def is_empty(volume: Path) -> bool:
    """Say whether nothing lies in *volume* but what restores keep there."""
    return reserved.LEFT_OUT.issuperset(os.listdir(os.fsencode(volume)))


def walk(volume: Path, levels: float = inf) -> Iterator[tuple[bytes, os.stat_result]]:
    """
    Yield the relative path and state of all that stays, parents first.

    Of the first so many *levels*: 1 is what lies in the volume itself.
    """
    waiting = [b""]
    top = os.fsencode(volume)
    while waiting:
        folder = waiting.pop()
        for entry in _entries(os.path.join(top, folder)):
            path = os.path.join(folder, entry.name)
            state = _state(entry)
            if state is None or path in reserved.LEFT_OUT:
                continue
            yield path, state
            if stat.S_ISDIR(state.st_mode) and path.count(b"/") + 1 < levels:
                waiting.append(path)


def _entries(folder: bytes) -> list[os.DirEntry[bytes]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []


def _state(entry: os.DirEntry[bytes]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def copy(
    volume: Path,
    archive: Path,
    *,
    compression: str,
    exclude: Sequence[str],
    order: Sequence[str],
    changes: str,
    progress: Callable[[int], object],
    grew: Callable[[], object] = lambda: None,
    session: Session | None = None,
) -> dict[str, Any]:
    """
    Write *volume* into *archive*, and call *grew* now and then meanwhile.

    Returns {"settled"}: whether no file came or went, where that matters. *changes*
    says what may happen to files meanwhile: none, growth (then all must have been
    there, and with an *order* no other) or any. With a *session* that ends in between;
    what may happen meanwhile the store puts right when it starts. Raises Failed.
    """
    done = Progress(progress)

    def passed(size: int) -> None:
        done.add(size)
        grew()

    if session is not None:
        with tempfile.TemporaryDirectory() as folder:
            held = _held(volume, Path(folder), exclude, order, session)
            write(held, archive, compression, passed)
        return {"settled": True}
    names = ordered_names(volume, order) if order else []
    command = tar_command(exclude, listed=bool(names))
    source = Source(volume, command, names, TOLERATED[changes])
    whole = write(source, archive, compression, passed)
    settled = not order or set(names) == set(ordered_names(volume, order))
    return {"settled": settled and (whole or changes == "any")}


def _held(
    volume: Path,
    folder: Path,
    exclude: Sequence[str],
    order: Sequence[str],
    session: Session,
) -> Source:
    """Return what tar reads of a store whose session ends in between."""
    late = [_pattern(text) for text in session.after]
    first = [
        name
        for name in ordered_names(volume, order)
        if not any(pattern.fullmatch(name) for pattern in late)
        or (volume / os.fsdecode(name)).is_dir()
    ]

    def then() -> list[bytes]:
        files = [_staged(volume, folder, *file) for file in session.stop().items()]
        known = set(first)
        return files + [
            b"./" + name
            for name in ordered_names(volume, session.after)
            if name not in known and any(pattern.fullmatch(name) for pattern in late)
        ]

    renamed = f"--transform=flags=r;s|^{re.escape(str(folder))}/|./|"
    command = [*tar_command(exclude, listed=True), "--absolute-names", renamed]
    return Source(volume, command, first, TOLERATED["any"], then)


def _staged(volume: Path, folder: Path, path: str, data: bytes) -> bytes:
    """Write one file of a session where tar finds it, owned as the data around it."""
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    file.chmod(0o600)
    owner = (volume / path).parent.stat()
    os.chown(file, owner.st_uid, owner.st_gid)
    return os.fsencode(file)


def links(volume: Path, patterns: Sequence[str]) -> list[str]:
    """Return the symbolic links among the paths of *patterns*: data lies elsewhere."""
    if not patterns:
        return []
    wanted = [_pattern(text) for text in patterns]
    levels = max(inf if "**" in text else text.count("/") + 1 for text in patterns)
    return sorted(
        os.fsdecode(path)
        for path, state in walk(volume, levels)
        if stat.S_ISLNK(state.st_mode)
        and any(pattern.fullmatch(path) for pattern in wanted)
    )


def changed(volume: Path) -> float:
    """
    Return when something in the first two levels of folders last changed, in seconds.

    A store that starts makes a file there, or writes one: its lock, its log.
    """
    newest = volume.stat().st_ctime
    folders = [volume]
    for depth in (1, 2):
        inner = []
        for folder in folders:
            with os.scandir(folder) as entries:
                for entry in entries:
                    state = entry.stat(follow_symlinks=False)
                    newest = max(newest, state.st_ctime)
                    if depth == 1 and entry.is_dir(follow_symlinks=False):
                        inner.append(Path(entry.path))
        folders = inner
    return newest


def ordered_names(volume: Path, order: Sequence[str]) -> list[bytes]:
    """Return the directories, then the files in the order of the first that fits."""
    patterns = [_pattern(text) for text in order]
    folders: list[bytes] = [b"."]
    files: list[bytes] = []
    for path, state in walk(volume):
        (folders if stat.S_ISDIR(state.st_mode) else files).append(path)

    def place(path: bytes) -> tuple[int, bytes]:
        fits = (n for n, pattern in enumerate(patterns) if pattern.fullmatch(path))
        return next(fits, len(patterns)), path

    return [*sorted(folders), *sorted(files, key=place)]


def _pattern(text: str) -> re.Pattern[bytes]:
    """Translate a path pattern: * within a name, ** across folders."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    words = re.split(r"(\*\*/|\*\*|\*|\?)", text.removeprefix("./"))
    expression = "".join(parts.get(word, re.escape(word)) for word in words)
    return re.compile(expression.encode(), re.DOTALL)


def tar_command(exclude: Sequence[str], *, listed: bool) -> list[str]:
    """
    Return the tar command that writes the current folder to stdout.

    ACLs are among the extended attributes; to ask for them by `--acls`, too, takes tar
    as long as all else that it does with a small file. Of listed names tar remembers
    every inode, and takes a new file with the inode of a removed one for a hard link to
    it: a running store's links become files of their own.
    """
    return [
        *("tar", "--create", "--file=-", f"--record-size={RECORD}"),
        *("--format=posix", "--pax-option=delete=atime,delete=ctime"),
        *("--numeric-owner", "--sparse", "--xattrs", "--xattrs-include=*"),
        *("--one-file-system", "--anchored", "--wildcards"),
        *excluding(reserved.LEFT_OUT),
        *(f"--exclude={pattern}" for pattern in exclude),
        *(
            [
                *("--no-recursion", "--null", "--verbatim-files-from"),
                *("--files-from=-", "--hard-dereference"),
            ]
            if listed
            else ["."]
        ),
    ]
