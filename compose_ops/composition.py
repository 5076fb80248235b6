"""The composition root: which implementation each operation gets of the others."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compose_ops.runtime.context import (
        Backups,
        Preconditions,
        RollingUpdates,
        StackContext,
    )


class Operations:
    """The operations of this package; each is loaded when another first needs it."""

    @property
    def require(self) -> "Preconditions":
        from compose_ops.doctor import requirements

        return requirements.require_for

    @property
    def rollout(self) -> "RollingUpdates":
        from compose_ops.rollout import delegation

        return delegation

    @property
    def backups(self) -> "Backups":
        from compose_ops.backup import reports

        return reports

    @property
    def prepare_images(self) -> Callable[["StackContext"], None]:
        from compose_ops.stack import local_images

        return local_images.prepare


OPERATIONS = Operations()
