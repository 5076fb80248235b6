"""Copy a volume, and read the copy back from when its first bytes are there."""

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from volume_helper import copying
from volume_helper.checking import check, digest_on_disk
from volume_helper.failure import Failed, Refused
from volume_helper.following import Follower
from volume_helper.screen import Screen

Report = Callable[[int], object]


@dataclass(slots=True)
class Archiving:
    """A volume's archive and the list of what it holds."""

    volume: Path
    archive: Path
    listing: Path
    follower: Follower | None = None

    def copy(
        self,
        *,
        compression: str,
        exclude: Sequence[str],
        order: Sequence[str],
        changes: str,
        progress: Report,
        session: copying.Session | None = None,
    ) -> dict[str, Any]:
        """Write the archive, as `copying.copy` does. Raises Failed."""
        self._forget()
        # What goes through a pipe can be read only once it is whole.
        if self.archive.is_file():
            os.truncate(self.archive, 0)
            self.follower = Follower(self.archive, self.listing, compression)
        try:
            found = copying.copy(
                self.volume,
                self.archive,
                compression=compression,
                exclude=exclude,
                order=order,
                changes=changes,
                progress=progress,
                session=session,
                grew=self.follower.grew if self.follower else lambda: None,
            )
        except BaseException:
            self.close()
            raise
        if self.follower:
            self.follower.whole()
        return found

    def reread(self, *, compression: str, progress: Report) -> dict[str, Any]:
        """Return what the archive on the disk holds, as `checking.check`. Refused."""
        follower, self.follower = self.follower, None
        if follower is None:
            return check(
                self.archive,
                compression=compression,
                screen=Screen(),
                listing=self.listing,
                progress=progress,
            )
        stored: list[str | OSError] = []

        def hash_it() -> None:
            try:
                stored.append(digest_on_disk(self.archive))
            except OSError as fault:
                stored.append(fault)

        hashing = threading.Thread(target=hash_it, daemon=True)
        hashing.start()
        found = follower.result(progress)
        hashing.join()
        if isinstance(stored[0], OSError):
            raise stored[0]
        if stored[0] != found["sha256"]:
            raise Refused("the archive on the disk is not what was written")
        return found

    def close(self) -> None:
        """End what still reads."""
        if self.follower:
            self.follower.drop()
            self.follower = None

    def _forget(self) -> None:
        """Let what follows a copy that did not settle end; it writes the list."""
        if self.follower:
            with suppress(Failed):
                self.follower.result()
            self.follower = None
