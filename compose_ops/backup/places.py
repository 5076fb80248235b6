"""Open destinations: the folder or the repository that an address names."""

from compose_ops.backup.addresses import Place, RepositoryAddress
from compose_ops.backup.destination import Destination
from compose_ops.backup.folder_destination import FolderDestination
from compose_ops.backup.restic_destination import ResticDestination
from compose_ops.runtime.context import StackContext


def opened(stack: StackContext, place: Place) -> Destination:
    """Return the destination at a place; nothing is read or made yet."""
    if isinstance(place, RepositoryAddress):
        return ResticDestination(stack, place)
    return FolderDestination(stack, place)
