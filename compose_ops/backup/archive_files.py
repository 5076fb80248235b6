"""The files of one volume in a set that is being written: plain, or sealed by pipes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import Any

from compose_ops.backup import encryption
from compose_ops.backup.manifest import COMPRESSIONS

# The helper's root may write these without the right to write everything; the folder
# around them is closed to others, and `finish` makes them 0600.
OPEN_TO_HELPER = 0o606


class ArchiveFiles:
    """
    Archive and list of one volume.

    With *keys* what the helper writes goes through pipes and is encrypted on its way to
    the disk; a key of its own, known to nobody else, lets it be read back once.
    """

    def __init__(
        self, folder: Path, key: str, compression: str, keys: Sequence[Any]
    ) -> None:
        self.compression = compression
        seal = ".age" if keys else ""
        self.archive = folder / f"{key}.{COMPRESSIONS[compression]}{seal}"
        self.listing = folder / f"{key}.files.zst{seal}"
        self.archive_end, self.listing_end = self.archive, self.listing
        self.keys = list(keys)
        self.secret: Any = None
        if keys:
            self.archive_end = folder / f"{key}.archive.pipe"
            self.listing_end = folder / f"{key}.listing.pipe"
            self.secret, public = encryption.one_time_identity()
            self.keys.append(public)

    def make(self) -> None:
        """Make what the helper container is given."""
        for end in (self.archive_end, self.listing_end):
            if self.keys:
                encryption.make_pipe(end)
            else:
                end.touch(mode=0o600)
                end.chmod(OPEN_TO_HELPER)

    @contextmanager
    def being_written(self) -> Iterator[None]:
        """Encrypt, where that is asked for, while the helper copies."""
        if not self.keys:
            yield
            return
        with encryption.sealed(self.archive_end, self.archive, self.keys):
            yield

    @contextmanager
    def being_read(self) -> Iterator[None]:
        """
        Decrypt the archive while the helper reads it back, and encrypt its list.

        Nothing is done where the set is not encrypted.
        """
        if not self.keys:
            yield
            return
        with (
            encryption.opened(self.archive_end, self.archive, [self.secret]),
            encryption.sealed(self.listing_end, self.listing, self.keys),
        ):
            yield
        for end in (self.archive_end, self.listing_end):
            end.unlink()

    def stored(self, sha256: str, size: int) -> tuple[str, int]:
        """Return hash and size of the archive as it lies in the set."""
        if not self.keys:
            return sha256, size
        with self.archive.open("rb") as file:
            return file_digest(file, "sha256").hexdigest(), self.archive.stat().st_size
