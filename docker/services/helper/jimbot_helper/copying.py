"""Write a volume into an archive: GNU tar into zstd or gzip."""

import os
import re
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from jimbot_helper.failure import Failed
from jimbot_helper.screen import RESERVED
from jimbot_helper.swapping import KEPT

RECORD = 64 << 10
RECORDS_A_STEP = 128
ATTEMPTS = 3
COMPRESS = {
    "zstd": ["zstd", "-q", "-c", "-3", "-T0"],
    "gzip": ["gzip", "-c", "-6", "-n"],
}
# What tar may say of a volume that is written to: files may grow under a native copy;
# under one that is only crash consistent they may go, too.
TOLERATED = {
    "none": re.compile(rb"socket ignored"),
    "growth": re.compile(rb"socket ignored|file changed as we read it"),
    "any": re.compile(
        rb"socket ignored|file changed as we read it|[Ff]ile removed before we read it"
        rb"|Cannot stat: No such file|Exiting with failure status|shrank by"
    ),
}
_STEP = re.compile(rb"^step (\d+)$")


@dataclass(slots=True)
class _Said:
    """What tar wrote to stderr, other than how far it is."""

    lines: list[bytes] = field(default_factory=list)


def occupied(volume: Path) -> int:
    """Return the bytes that *volume* occupies, without what restores keep there."""
    done = subprocess.run(
        ["du", "-s", "-B1", "-x", f"--exclude=./{RESERVED.decode()}", "."],
        cwd=volume,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0 and not done.stdout:
        raise Failed("the volume could not be read")
    return int(done.stdout.split()[0])


def is_empty(volume: Path) -> bool:
    """Say whether nothing lies in *volume* but what restores keep there."""
    return all(name in KEPT for name in os.listdir(volume))


def walk(volume: Path) -> Iterator[tuple[bytes, os.stat_result]]:
    """Yield the relative path and state of everything, parents first."""
    waiting = [b""]
    top = os.fsencode(volume)
    while waiting:
        folder = waiting.pop()
        with os.scandir(os.path.join(top, folder)) as found:
            for entry in found:
                path = os.path.join(folder, entry.name)
                if path in (RESERVED, b"lost+found"):
                    continue
                state = entry.stat(follow_symlinks=False)
                yield path, state
                if stat.S_ISDIR(state.st_mode):
                    waiting.append(path)


def copy(
    volume: Path,
    archive: Path,
    *,
    compression: str,
    exclude: Sequence[str],
    order: Sequence[str],
    changes: str,
    progress: Callable[[int], object],
) -> dict[str, object]:
    """
    Write *volume* into *archive*, durably, and return {"bytes": of the tar stream}.

    *changes* says what may happen to files meanwhile: none, growth or any. With an
    *order* none may come or go. Raises Failed.
    """
    for _ in range(ATTEMPTS):
        before = ordered_names(volume, order) if order else []
        size = _write(
            volume,
            archive,
            compression=compression,
            exclude=exclude,
            names=before,
            changes=changes,
            progress=progress,
        )
        if not order or set(before) == set(ordered_names(volume, order)):
            return {"bytes": size}
    raise Failed(f"files came and went during each of {ATTEMPTS} copies")


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
    """Return the tar command that writes the current folder to stdout."""
    reserved = [f"./{RESERVED.decode()}", "./lost+found", *exclude]
    return [
        *("tar", "--create", "--file=-", f"--record-size={RECORD}"),
        *("--format=posix", "--pax-option=delete=atime,delete=ctime"),
        *("--numeric-owner", "--sparse", "--acls", "--xattrs", "--xattrs-include=*"),
        *("--one-file-system", "--anchored", "--wildcards"),
        *(f"--exclude={pattern}" for pattern in reserved),
        f"--checkpoint={RECORDS_A_STEP}",
        "--checkpoint-action=echo=step %u",
        *(
            ["--no-recursion", "--null", "--verbatim-files-from", "--files-from=-"]
            if listed
            else ["."]
        ),
    ]


def _write(
    volume: Path,
    archive: Path,
    *,
    compression: str,
    exclude: Sequence[str],
    names: Sequence[bytes],
    changes: str,
    progress: Callable[[int], object],
) -> int:
    listed = bool(names)
    with (
        archive.open("wb") as target,
        subprocess.Popen(
            COMPRESS[compression], stdin=subprocess.PIPE, stdout=target
        ) as packer,
        subprocess.Popen(
            tar_command(exclude, listed=listed),
            cwd=volume,
            stdin=subprocess.PIPE if listed else subprocess.DEVNULL,
            stdout=packer.stdin,
            stderr=subprocess.PIPE,
        ) as tar,
    ):
        _close(packer.stdin)
        feeder = threading.Thread(target=_feed, args=(tar.stdin, names))
        feeder.start()
        said = _Said()
        size = _listen(tar.stderr, said, progress)
        codes = (tar.wait(), packer.wait())
        feeder.join()
        _judge(codes, said, TOLERATED[changes])
        _sync(target)
    return size


def _feed(pipe: IO[bytes] | None, names: Sequence[bytes]) -> None:
    if pipe is None:
        return
    try:
        for name in names:
            pipe.write((b"." if name == b"." else b"./" + name) + b"\0")
        pipe.close()
    except BrokenPipeError:
        pass


def _listen(
    pipe: IO[bytes] | None, said: _Said, progress: Callable[[int], object]
) -> int:
    reached = 0
    for line in pipe or ():
        step = _STEP.match(line.removeprefix(b"tar: ").strip())
        if step:
            reached = int(step[1]) * RECORD
            progress(reached)
        else:
            said.lines.append(line.strip())
    return reached


def _judge(codes: tuple[int, int], said: _Said, tolerated: re.Pattern[bytes]) -> None:
    tar, packer = codes
    faults = [line for line in said.lines if not tolerated.search(line)]
    if packer != 0:
        raise Failed("the archive could not be written: is the destination full?")
    if faults or tar not in {0, 1, 2}:
        words = faults[0].decode(errors="replace") if faults else f"exit code {tar}"
        raise Failed(f"the volume could not be read: {words}")


def _sync(target: IO[bytes]) -> None:
    try:
        os.fsync(target.fileno())
    except OSError as refused:
        if stat.S_ISREG(os.fstat(target.fileno()).st_mode):
            raise Failed(f"the archive could not be kept: {refused}") from None


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        pipe.close()
