"""Bring back what a restore moved aside, or let it go."""

from collections.abc import Sequence

from jimbot_stack.backup import previous, rollback, transaction
from jimbot_stack.backup.parts import earlier_parts
from jimbot_stack.change import changing
from jimbot_stack.console import confirm, say
from jimbot_stack.errors import UsageError
from jimbot_stack.stack import Stack


def undo(stack: Stack, services: Sequence[str], *, yes: bool) -> str:
    """Swap back what the newest restore of *services* moved aside; return its id."""
    with changing(stack, "invoke restore --undo"):
        entry = previous.newest(stack, stack.model.check_services(services))
        parts = earlier_parts(stack, entry.services, entry.volumes, entry.counts)
        say(f"bringing back the data from before {entry.restore}: {entry.moved}")
        if not stack.dry:
            if not confirm("The present data is moved aside.", yes=yes):
                raise UsageError(
                    "nothing was changed", hint="--yes answers for a script"
                )
            with transaction.transaction(
                stack, parts, earlier=entry.restore
            ) as journal:
                transaction.halt(stack, journal, parts)
                journal.reach("staging", touched=True)
                for part in parts:
                    with rollback.at_volume(stack, journal, part.volume) as talk:
                        talk.ask(
                            "adopt",
                            restore=journal.facts["run"],
                            earlier=entry.restore,
                        )
                transaction.swap_and_try(stack, journal, parts)
    return entry.restore


def discard(stack: Stack, services: Sequence[str], *, yes: bool) -> list[str]:
    """Remove for good what restores of *services* moved aside; return their ids."""
    wanted = set(stack.model.check_services(services))
    with changing(stack, "invoke restore --discard"):
        found = [
            entry
            for entry in previous.listed(stack)
            if not wanted or wanted & set(entry.services)
        ]
        for entry in found:
            say(
                f"would lose the data of {', '.join(entry.services)} from before "
                f"the restore of {entry.moved}"
            )
        if found and not stack.dry:
            if not confirm("That data is lost for good.", yes=yes):
                raise UsageError("nothing was discarded", hint="--yes answers")
            for entry in found:
                previous.discard(stack, entry)
    return [entry.restore for entry in found]
