"""End a backup: put back what it stopped and locked, remove what it did not finish."""

from pathlib import Path

from compose_ops.backup import helper, repository, service_control
from compose_ops.runtime.context import StackContext
from compose_ops.state.journal import Journal


def undo(stack: StackContext, journal: Journal) -> None:
    """
    Bring everything back to what it was before the backup. Can be repeated.

    What was stopped, paused or locked runs again; helper containers and the partial
    set are gone. The journal stays when something could not be put back.
    """
    helper.remove_strays(stack, journal.facts["run"])
    single = journal.facts.get("partial")  # of the version before
    partials = [*journal.facts.get("partials", ()), *([single] if single else [])]
    try:
        service_control.resume(stack, journal.facts)
    finally:
        for partial in partials:
            repository.remove_partial(Path(partial))
    journal.close()
