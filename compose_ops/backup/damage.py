"""Mark a set that turns out to be damaged."""

from collections.abc import Iterator
from contextlib import contextmanager

from compose_ops.backup.destination import Destination
from compose_ops.backup.encryption import WrongKey
from compose_ops.backup.repository import BackupSet
from compose_ops.errors import DataError


class NotReached(DataError):  # noqa: N818 - names an outcome
    """A set could not be read where it lies, which says nothing of it."""


@contextmanager
def marked(place: Destination, backup_set: BackupSet) -> Iterator[None]:
    """
    Read a set's archives in the block; one that is damaged is not verified any more.

    A key that opens nothing says nothing of the set, nor does a failure of the engine.
    """
    try:
        yield
    except (WrongKey, NotReached):
        raise
    except DataError:
        place.note(backup_set, verified=None)
        raise
