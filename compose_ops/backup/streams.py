"""
Carry archives and lists between this machine and a helper on another one.

`volume_helper.streams` is the other end, and says how.
"""

import struct
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from threading import Event, Thread
from typing import IO

from compose_ops.docker.api import InteractiveRun
from compose_ops.errors import ComposeOpsError, DataError

BLOCK = 1 << 20
_SIZE = struct.Struct(">I")
_FLOWS: Mapping[str, Mapping[str, str]] = {
    "copy": {"archive": "out"},
    "reread": {"archive": "in", "listing": "out"},
    "check": {"archive": "in"},
    "check list": {"listing": "in"},
    "stage": {"archive": "in"},
}


class Streams:
    """
    The files of a helper that cannot have them, by name: archive and listing.

    A file may be a pipe, as it is where a set is encrypted. *output* is what the helper
    writes to its standard output.
    """

    def __init__(
        self, talk: InteractiveRun, output: IO[bytes], files: Mapping[str, Path]
    ) -> None:
        self._talk, self._output, self._files = talk, output, files
        self._threads: list[Thread] = []
        self._answered = Event()
        self._fault: tuple[Path, OSError] | None = None

    @staticmethod
    def of(do: str) -> Mapping[str, str]:
        """Return what flows during a request, and which way the helper sees it."""
        return _FLOWS.get(do, {})

    def begin(self, do: str) -> None:
        """Carry what flows during the request that was just sent."""
        self._answered.clear()
        self._fault = None
        for name, way in self.of(do).items():
            work = self._send if way == "in" else self._store
            thread = Thread(target=work, args=(self._files[name],), daemon=True)
            thread.start()
            self._threads.append(thread)

    def end(self) -> None:
        """
        Send no more, now that the helper has answered; wait for what it wrote.

        Raises DataError when a file of this machine could not be read or written: that
        is why the helper failed.
        """
        self._answered.set()
        while self._threads:
            self._threads.pop().join()
        if self._fault:
            file, fault = self._fault
            raise DataError(
                f"{file} could not be carried to or from the engine's host: "
                f"{fault.strerror}",
                hint="is there room at the destination? --dest DIR names another",
            ) from fault

    def _send(self, file: Path) -> None:
        with suppress(ComposeOpsError):  # the task hears it where it waits
            try:
                with file.open("rb") as source:
                    while not self._answered.is_set():
                        block = source.read(BLOCK)
                        if not block:
                            break
                        self._put(block)
            except OSError as fault:
                self._fault = (file, fault)
            self._put(b"")

    def _put(self, block: bytes) -> None:
        data = _SIZE.pack(len(block)) + block
        self._talk.send_bytes(BytesIO(data), len(data))

    def _store(self, file: Path) -> None:
        """Write what comes to its end, also where it cannot be written."""
        try:
            with file.open("wb") as sink:
                while block := self._block():
                    sink.write(block)
        except OSError as fault:
            self._fault = (file, fault)
            while self._block():
                pass

    def _block(self) -> bytes:
        head = self._output.read(_SIZE.size)
        if len(head) < _SIZE.size:
            return b""
        return self._output.read(_SIZE.unpack(head)[0])
