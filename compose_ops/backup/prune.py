"""Remove sets that no rule keeps."""

from datetime import UTC, datetime
from typing import Any

from compose_ops.backup import destinations, places
from compose_ops.backup.addresses import Place
from compose_ops.backup.repository import sequence
from compose_ops.backup.retention import Candidate, Rules, reasons
from compose_ops.console import confirm, say
from compose_ops.errors import UsageError
from compose_ops.runtime.context import StackContext
from compose_ops.state.recovery import exclusive


def prune(
    stack: StackContext, dest: Place, rules: Rules, *, yes: bool
) -> dict[str, Any]:
    """
    Show which sets go and why others stay, ask, and remove them.

    Returns {"kept": {id: why}, "removed": [id]}. Sets with an invalid manifest are left
    for a person to judge. Raises UsageError without a rule or a confirmation, DataError
    where the destination held sets and holds none.
    """
    if rules.keep_nothing:
        raise UsageError(
            "no retention rule is given",
            hint="--keep-last 7 --keep-daily 14 --keep-monthly 12",
        )
    with exclusive(stack, "invoke prune", services=()):
        place = places.opened(stack, dest)
        listed = place.listed(stack.project)
        destinations.require_found(stack, dest, listed, stack.project)
        found = {k.id: k for k in listed if k.manifest}
        candidates = [
            Candidate(
                k.id,
                k.manifest.created_at,
                k.verified is not None,
                frozenset(store.service for store in k.manifest.stores),
                sequence(k.id),
            )
            for k in found.values()
            if k.manifest
        ]
        retained = reasons(candidates, rules, now=datetime.now(UTC))
        doomed = [set_id for set_id in found if set_id not in retained]
        for set_id, why in retained.items():
            say(f"keep {set_id}: {why}")
        for set_id in doomed:
            say(f"{'would ' if stack.dry else ''}remove {set_id}")
        if stack.dry or not doomed:
            if not stack.dry:
                place.remove(stack.project, ())
            return {"kept": retained, "removed": []}
        if not confirm(f"{len(doomed)} sets are removed for good.", yes=yes):
            raise UsageError("nothing was removed", hint="--yes answers for a script")
        place.remove(stack.project, [found[set_id] for set_id in doomed])
    return {"kept": retained, "removed": doomed}
