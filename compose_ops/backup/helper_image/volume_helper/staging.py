"""Unpack an archive into the folder that a restore stages it in."""

import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from volume_helper import swapping
from volume_helper.checking import check, widen
from volume_helper.failure import Failed, Refused
from volume_helper.screen import Screen
from volume_helper.window import PIECE, Sink

# Without --acls, which would make ACLs anew of modes: they come as attributes.
EXTRACT = (
    *("tar", "--extract", "--file=-", "--preserve-permissions", "--same-owner"),
    *("--numeric-owner", "--xattrs", "--xattrs-include=*"),
    *("--delay-directory-restore", "--warning=no-timestamp"),
)


def stage(
    volume: Path,
    archive: Path,
    *,
    restore: str,
    compression: str,
    screen: Screen,
    sha256: str,
    progress: Callable[[int], object],
) -> dict[str, Any]:
    """
    Unpack *archive* beside the data in *volume*, screening every member on its way.

    Raises Refused when the archive is another than the one with the hash *sha256*, and
    Failed when it cannot be unpacked; both leave nothing behind.
    """
    target = swapping.prepare(volume, restore)
    try:
        found = _unpack(
            target, archive, compression=compression, screen=screen, progress=progress
        )
        if found["sha256"] != sha256:
            raise Refused("the archive changed after it was verified")
        _sync(volume)
    except Failed:
        swapping.discard(volume, restore)
        raise
    return found


def _unpack(
    target: Path,
    archive: Path,
    *,
    compression: str,
    screen: Screen,
    progress: Callable[[int], object],
) -> dict[str, Any]:
    with subprocess.Popen(
        EXTRACT,
        cwd=target,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=PIECE,
    ) as tar:
        pipe, errors = tar.stdin, tar.stderr
        widen(pipe)
        if pipe is None or errors is None:
            raise Failed("tar did not start")
        try:
            found = check(
                archive,
                compression=compression,
                screen=screen,
                progress=progress,
                sink=_until_its_end(tar, pipe.write),
            )
        except BrokenPipeError:
            raise Failed(_why(errors.read())) from None
        except Refused:
            tar.kill()
            with suppress(BrokenPipeError):
                pipe.close()
            raise
        with suppress(BrokenPipeError):
            pipe.close()
        said = errors.read()
        if tar.wait() != 0:
            raise Failed(_why(said))
    return found


def _until_its_end(tar: subprocess.Popen[bytes], give: Sink) -> Sink:
    """
    Let *give* be refused by a tar that ended well.

    It reads no further than the end marker, and zeros follow that fill a record.
    """

    def gives(piece: bytes) -> None:
        try:
            give(piece)
        except BrokenPipeError:
            if tar.wait() != 0:
                raise

    return gives


def _why(said: bytes) -> str:
    """Return tar's first complaint as one line."""
    lines = said.decode(errors="replace").splitlines()
    first = next((line for line in lines if line.startswith("tar: ")), "tar stopped")
    if any("No space left" in line for line in lines):
        return "the volume is full"
    return f"the archive could not be unpacked: {first.removeprefix('tar: ')}"


def mend(volume: Path, restore: str, command: str) -> None:
    """Run a store's own finishing *command* in the staged data. Raises Failed."""
    done = subprocess.run(
        ["sh", "-euc", command],
        cwd=swapping.place(volume, restore) / "staged",
        capture_output=True,
        check=False,
        env=dict(os.environ),
    )
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Failed(f"the store's fix-up failed: {' '.join(words)}")
    _sync(volume)


def _sync(volume: Path) -> None:
    if subprocess.run(["sync", "-f", volume], check=False).returncode != 0:
        raise Failed("the volume could not be synchronised")
