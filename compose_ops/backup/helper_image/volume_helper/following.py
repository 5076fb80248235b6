"""Read an archive back while it is still being written, in a process of its own."""

import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from volume_helper.checking import check
from volume_helper.failure import Failed, Refused, reason
from volume_helper.screen import Screen

BEHIND_THE_COPY = 10
CODE = Path(__file__).parents[1]

Report = Callable[[int], object]


class Follower:
    """
    Reads and lists *archive* beside the copy, on the processor time that it leaves.

    To list many small files takes as long as to pack them: after the copy the task
    would wait for it, and within the copy the store.
    """

    def __init__(self, archive: Path, listing: Path, compression: str) -> None:
        words = (str(archive), str(listing), compression)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(CODE)},
            start_new_session=True,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise Failed("what reads the archive back did not start")
        self._grows, self._answers = self._process.stdin, self._process.stdout
        os.set_blocking(self._grows.fileno(), False)

    @property
    def pid(self) -> int:
        """Its process, which leads a group with all that it starts."""
        return self._process.pid

    def grew(self) -> None:
        """Let it look at the file once more."""
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(self._grows.fileno(), b".")

    def whole(self) -> None:
        """Say that nothing more comes."""
        self._grows.close()

    def result(self, report: Report = lambda _size: None) -> dict[str, Any]:
        """Return what `checking.check` found, once it read all. Raises Failed."""
        found: dict[str, Any] = {}
        with self._process:
            for line in self._answers:
                found = json.loads(line)
                if "progress" in found:
                    report(found["progress"])
        if "refused" in found:
            raise Refused(found["refused"])
        if "done" not in found:
            raise Failed(found.get("failed", "what reads the archive back has ended"))
        return dict(found["done"])

    def drop(self) -> None:
        """End it, and what it started: nobody wants what it reads."""
        os.killpg(self.pid, signal.SIGKILL)
        with self._process:
            pass


def main(archive: str, listing: str, compression: str) -> None:
    """Answer on stdout; stdin has a byte when the archive grew, and ends with it."""
    gc.disable()
    os.nice(BEHIND_THE_COPY)
    out = sys.stdout.fileno()
    # Nobody listens before the copy is done: what does not fit is not said.
    os.set_blocking(out, False)
    outcome = _outcome(Path(archive), Path(listing), compression)
    os.set_blocking(out, True)
    _say(outcome)


def _outcome(archive: Path, listing: Path, compression: str) -> Mapping[str, Any]:
    try:
        done = check(
            archive,
            compression=compression,
            screen=Screen(),
            listing=listing,
            progress=_progress,
            may_grow=lambda: bool(os.read(sys.stdin.fileno(), 1 << 16)),
        )
    except Refused as refused:
        return {"refused": str(refused)}
    except Failed as failed:
        return {"failed": str(failed)}
    except OSError as failed:
        return {"failed": reason(failed)}
    return {"done": done}


def _progress(size: int) -> None:
    with suppress(BlockingIOError):
        _say({"progress": size})


def _say(words: Mapping[str, Any]) -> None:
    os.write(sys.stdout.fileno(), json.dumps(words).encode() + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
