"""Mark a set that turns out to be damaged."""

from collections.abc import Iterator
from contextlib import contextmanager

from compose_ops.backup import repository
from compose_ops.backup.encryption import WrongKey
from compose_ops.backup.repository import BackupSet
from compose_ops.errors import DataError


@contextmanager
def marked(backup_set: BackupSet) -> Iterator[None]:
    """
    Read a set's archives in the block; one that is damaged is not verified any more.

    A key that opens nothing says nothing of the set, nor does a failure of the engine.
    """
    try:
        yield
    except WrongKey:
        raise
    except DataError:
        repository.note(backup_set.path, verified=None)
        raise
