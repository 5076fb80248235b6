"""End a backup: put back what it stopped and locked, remove what it did not finish."""

from pathlib import Path

from jimbot_stack.backup import halting, helper, sets
from jimbot_stack.journal import Journal
from jimbot_stack.stack import Stack


def undo(stack: Stack, journal: Journal) -> None:
    """
    Bring everything back to what it was before the backup. Can be repeated.

    What was stopped, paused or locked runs again; helper containers and the partial
    set are gone. The journal stays when something could not be put back.
    """
    helper.remove_strays(stack, journal.facts["run"])
    partial = journal.facts.get("partial")
    try:
        halting.resume(stack, journal.facts)
    finally:
        if partial:
            sets.remove_partial(Path(partial))
    journal.close()
