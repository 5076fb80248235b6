"""What is believed of a set, until it turns out to be damaged."""

from collections.abc import Iterator
from contextlib import contextmanager

from jimbot_stack.backup import sets
from jimbot_stack.backup.sealing import WrongKey
from jimbot_stack.backup.sets import Kept
from jimbot_stack.errors import DataError


@contextmanager
def doubted(kept: Kept) -> Iterator[None]:
    """
    Read a set's archives in the block; one that is damaged is not verified any more.

    A key that opens nothing says nothing of the set, nor does a failure of the engine.
    """
    try:
        yield
    except WrongKey:
        raise
    except DataError:
        sets.note(kept.path, verified=None)
        raise
