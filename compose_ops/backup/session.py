"""
A command that is kept running in a store's container for as long as it is copied.

It prints `ready` when the store may be copied, and reads lines: after `stop` it prints
`file PATH BASE64` for each file that belongs to the copy, then `stopped`; the paths of
`after` are copied; after `close` it may print `closed`, and ends. `failed WHY` gives
up, and so does its end. When the task dies its input ends, and so must it.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from compose_ops.backup.policy import Policy
from compose_ops.docker.api import Container, Engine, InteractiveRun
from compose_ops.errors import DataError, EngineError

MAX_BYTES = 1 << 20
_PATH = re.compile(r"(?!.*(?:^|/)\.\.?(?:/|$))[A-Za-z0-9_.][A-Za-z0-9_./-]*")


@dataclass(slots=True)
class Session:
    """A session with one store; `files` are what it said at its stop."""

    service: str
    talk: InteractiveRun
    printed: str = ""
    files: dict[str, bytes] = field(default_factory=dict)

    def wait_until_ready(self) -> None:
        """Return once the store may be copied; DataError with its reason if not."""
        self._until("ready")

    def stop(self) -> Mapping[str, bytes]:
        """End the copy's time and return the files that belong to it. DataError."""
        self._tell("stop")
        self._until("stopped")
        return self.files

    def close(self) -> None:
        """Let it end, once the paths of `after` are copied. DataError."""
        try:
            self.talk.send("close")
            self._until("closed")
        except EngineError:
            return  # it had nothing more to say

    def _tell(self, word: str) -> None:
        try:
            self.talk.send(word)
        except EngineError as gone:
            raise self._lost(gone.message) from gone

    def _until(self, word: str) -> None:
        while True:
            try:
                line = self.talk.receive().strip()
            except EngineError as gone:
                if word == "closed":
                    raise
                raise self._lost(self.printed or gone.message) from gone
            first, _, rest = line.partition(" ")
            if line == word:
                return
            if first == "failed":
                raise self._lost(rest or self.printed)
            if first == "file":
                self._keep(*rest.partition(" ")[::2])
            elif line:
                self.printed = line

    def _keep(self, path: str, text: str) -> None:
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise self._lost(f"it printed invalid base64 for {path!r:.60}") from None
        if not _PATH.fullmatch(path) or path in self.files:
            raise self._lost(f"it named the file {path!r:.60}")
        self.files[path] = data
        if sum(map(len, self.files.values())) > MAX_BYTES:
            raise self._lost("its files are larger than 1 MiB")

    def _lost(self, why: str) -> DataError:
        return DataError(
            f"the session that holds {self.service} for the copy ended: "
            f"{why or 'it printed nothing'}",
            hint="run the backup again; --consistency stop stops the store for it",
        )


@contextmanager
def opened(
    engine: Engine, policy: Policy, container: Container, mark: str
) -> Iterator[Session]:
    """Start the session; it is told to end when the block does."""
    # What it complains of is read beside what it says, as the reason of its end.
    command = [policy.shell, "-c", f"exec 2>&1\n{policy.session}"]
    with engine.exec_interactive(
        container.id, command, user=policy.user, environment=dict([mark.split("=", 1)])
    ) as talk:
        yield Session(policy.service, talk)
