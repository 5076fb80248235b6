"""End a backup: put back what it stopped and locked, remove what it did not finish."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from compose_ops.backup import helper, repository, service_control
from compose_ops.errors import ComposeOpsError
from compose_ops.runtime.context import StackContext
from compose_ops.state.journal import Journal


def undo(stack: StackContext, journal: Journal) -> None:
    """
    Bring everything back to what it was before the backup. Can be repeated.

    What was stopped, paused or locked runs again; helper containers and the partial
    set are gone. The journal stays when something could not be put back.
    """
    single = journal.facts.get("partial")  # of the version before
    names = [*journal.facts.get("partials", ()), *([single] if single else [])]
    steps = (
        partial(helper.remove_strays, stack, journal.facts["run"]),
        partial(_resume, stack, journal, [Path(name) for name in names]),
    )
    service_control.try_all(steps)
    journal.close()


def _resume(stack: StackContext, journal: Journal, partials: Sequence[Path]) -> None:
    """Let run what was stopped, if need be in the room that the partial sets took."""
    try:
        service_control.resume(stack, journal.facts)
    except ComposeOpsError:
        if not any(path.exists() for path in partials):
            raise
        _remove(partials)
        service_control.resume(stack, journal.facts)
    finally:
        _remove(partials)


def _remove(partials: Sequence[Path]) -> None:
    for path in partials:
        repository.remove_partial(path)
