"""Bring back what a restore moved aside, or let it go."""

from collections.abc import Sequence

from compose_ops.backup import (
    helper,
    preconditions,
    restore_points,
    restore_rollback,
    service_control,
    transaction,
)
from compose_ops.backup.helper import HelperJob
from compose_ops.backup.restore_points import RestorePoint
from compose_ops.backup.restore_targets import RestoreTarget, earlier_parts
from compose_ops.console import confirm, say
from compose_ops.errors import DataError, UsageError
from compose_ops.runtime.context import StackContext
from compose_ops.state import journal as journals
from compose_ops.state.recovery import exclusive


def undo(stack: StackContext, services: Sequence[str], *, yes: bool) -> str:
    """
    Swap back what the newest restore of *services* moved aside; return its id.

    Of all services of that restore when none is named.
    """
    wanted = stack.model.check_services(services)
    concerned = {*wanted, *service_control.affected_by(stack, wanted)} or None
    with exclusive(stack, "invoke restore --undo", services=concerned):
        entry = restore_points.newest(stack, wanted)
        parts = _parts(stack, entry, services or entry.services)
        named = list(dict.fromkeys(part.policy.service for part in parts))
        say(
            f"{'would bring' if stack.dry else 'bringing'} back the data of "
            f"{', '.join(named)} from before {entry.restore}: {entry.moved}"
        )
        if not stack.dry:
            if not confirm("The present data is moved aside.", yes=yes):
                raise UsageError(
                    "nothing was changed", hint="--yes answers for a script"
                )
            with transaction.transaction(
                stack, parts, earlier=entry.restore
            ) as journal:
                transaction.create_missing(stack, parts)
                transaction.halt(stack, journal, parts)
                journal.reach("staging", touched=True, ending=[])
                for part in parts:
                    with restore_rollback.at_volume(
                        stack, journal, part.volume
                    ) as talk:
                        talk.ask(
                            "adopt",
                            restore=journal.facts["run"],
                            earlier=entry.restore,
                        )
                    journals.reached(f"after adopting {part.volume}")
                transaction.swap_and_try(stack, journal, parts)
    return entry.restore


def _parts(
    stack: StackContext, entry: RestorePoint, services: Sequence[str]
) -> list[RestoreTarget]:
    """
    Return the volumes whose data comes back; DataError when one is not there.

    Or when it holds no such data: it was removed, and made anew.
    """
    parts = earlier_parts(stack, services, entry.volumes, entry.counts)
    if not parts:
        raise DataError(
            f"nothing of {', '.join(services)} is kept from before {entry.restore}",
            hint="invoke status names what is kept",
        )
    for part in parts:
        preconditions.check_source(stack, part.volume)
    helper.require(stack)
    for part in parts:
        _check_kept(stack, entry, part.volume)
    return parts


def _check_kept(stack: StackContext, entry: RestorePoint, volume: str) -> None:
    work = HelperJob(run="look", label=volume, volume=volume)
    with helper.helper(stack, work) as talk:
        kept = talk.ask("measure")["restores"].get(entry.restore, {})
    if not kept.get("previous"):
        raise DataError(
            f"what the {entry.cause} {entry.restore} moved aside in {volume} is gone",
            hint="invoke backups lists the sets that can be restored",
        )


def discard(stack: StackContext, services: Sequence[str], *, yes: bool) -> list[str]:
    """
    Remove for good what restores of *services* moved aside; return their ids.

    What they moved aside of other services stays.
    """
    wanted = stack.model.check_services(services)
    with exclusive(stack, "invoke restore --discard", services=wanted or None):
        found = [
            (entry, lost)
            for entry in restore_points.listed(stack)
            if (lost := _named(entry, wanted))
        ]
        for entry, lost in found:
            say(
                f"would lose the data of {', '.join(lost)} from before "
                f"the restore of {entry.moved}"
            )
        if found and not stack.dry:
            if not confirm("That data is lost for good.", yes=yes):
                raise UsageError("nothing was discarded", hint="--yes answers")
            for entry, lost in found:
                restore_points.discard(stack, entry, lost)
        if not stack.dry:
            restore_points.finish_removals(stack)
    return [entry.restore for entry, _ in found]


def _named(entry: RestorePoint, wanted: Sequence[str]) -> tuple[str, ...]:
    return tuple(s for s in entry.services if not wanted or s in wanted)
