"""Replace volumes all at once: staged, swapped, tried, and committed or given back."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

from compose_ops.backup import (
    data_mounts,
    preconditions,
    restore_rollback,
    service_control,
    store_commands,
)
from compose_ops.backup.destination import Destination
from compose_ops.backup.helper import Helper
from compose_ops.backup.manifest import Manifest
from compose_ops.backup.progress import meter
from compose_ops.backup.repository import BackupSet
from compose_ops.backup.restore_targets import RestoreTarget
from compose_ops.console import say
from compose_ops.docker.api import Container
from compose_ops.errors import ComposeOpsError, DataError, Interrupted, UnhealthyError
from compose_ops.interrupts import undoing
from compose_ops.runtime.context import StackContext
from compose_ops.state import journal as journals
from compose_ops.state.journal import Journal
from compose_ops.units import readable_size

PUTTING_BACK = "putting the data from before the restore back"
FINISHING = "finishing the restore"
RESTORED = "the data is restored, do not restore it again"
KEPT = f"{RESTORED}; invoke restore --undo brings back what was before"


@contextmanager
def transaction(
    stack: StackContext, parts: Sequence[RestoreTarget], *, earlier: str = ""
) -> Iterator[Journal]:
    """
    Run the block to its commit; if it fails, bring the previous data back.

    Once it is committed no signal stops it, and no hint says to run it again.
    """
    now = datetime.now(UTC)
    journal = journals.begin(
        stack,
        "restore",
        f"{now:%Y%m%dT%H%M%S}-{now.microsecond:06d}",
        services=list(dict.fromkeys(part.policy.service for part in parts)),
        volumes=[part.volume for part in parts],
        moved=now.isoformat(timespec="seconds"),
        earlier=earlier,
    )
    try:
        with ExitStack() as end:
            try:
                yield journal
                end.enter_context(undoing(FINISHING))
            except ComposeOpsError as failed:
                _put_back(stack, journal, failed)
                raise
            except BaseException:
                if journal.facts.get("committed"):
                    with undoing(FINISHING):
                        _finish(stack, journal)
                else:
                    with undoing(PUTTING_BACK):
                        restore_rollback.undo(stack, journal)
                raise
            _finish(stack, journal)
    except KeyboardInterrupt as ended:
        if not journal.facts.get("committed"):
            raise
        raise Interrupted("interrupted", hint=KEPT) from ended


def _put_back(stack: StackContext, journal: Journal, failed: ComposeOpsError) -> None:
    """Undo what *failed*, and say in it which data is in place now."""
    is_restored = bool(journal.facts.get("committed"))
    again = "the data from before the restore is in place again"
    failed.hint = KEPT if is_restored else again
    try:
        with undoing(FINISHING if is_restored else PUTTING_BACK):
            restore_rollback.undo(stack, journal)
    except UnhealthyError as ill:
        failed.detail = f"{failed.detail}\n{ill.message} on it, too".strip()
    except ComposeOpsError as hindered:
        failed.detail = f"{failed.detail}\n{hindered.message}".strip()
        failed.hint = "not all could be put back: the next task tries it again"
        if is_restored:
            failed.hint = f"{RESTORED}; {failed.hint}"


def _finish(stack: StackContext, journal: Journal) -> None:
    """Finish what was committed; what hinders that says so, not to restore again."""
    try:
        restore_rollback.finish(stack, journal)
    except UnhealthyError:
        raise
    except ComposeOpsError as hindered:
        hindered.hint = (
            f"{RESTORED}; once that is mended, invoke recover finishes the restore"
        )
        raise


def create_missing(stack: StackContext, parts: Sequence[RestoreTarget]) -> None:
    """
    Let Compose make containers and volumes that are not there, with its labels.

    Raises DataError when a new volume has no room for what is to be unpacked.
    """
    new = [part for part in parts if not data_mounts.exists(stack, part.volume)]
    there = {c.service for c in stack.refresh()}
    missing = {
        part.policy.service
        for part in parts
        if part.policy.service not in there or part in new
    }
    if missing:
        say("making what is not there yet: " + ", ".join(sorted(missing)))
        stack.engine.up(sorted(missing), start=False, dependencies=False)
    for part in new:
        data_mounts.make(stack, part.volume)
        preconditions.check_room(stack, part)


def halt(stack: StackContext, journal: Journal, parts: Sequence[RestoreTarget]) -> None:
    """Stop what depends on the stores, then the stores; the journal says which ran."""
    services = journal.facts["services"]
    there = stack.refresh()
    stores = service_control.running_of(there, services, service_control.HOLDING)
    dependents = service_control.running_of(
        there, service_control.affected_by(stack, services)
    )
    journal.reach(
        "stopping",
        stores=service_control.as_facts(service_control.to_stop(stores)),
        dependents=service_control.as_facts(service_control.to_stop(dependents)),
        engine=stack.engine.boot_id(),
    )
    service_control.stop(stack, journal, service_control.to_stop(dependents))
    journal.reach("stopping stores", counts=_counts(stack, parts, stores))
    service_control.stop(stack, journal, service_control.to_stop(stores))


def _counts(
    stack: StackContext, parts: Sequence[RestoreTarget], stores: Sequence[Container]
) -> dict[str, int]:
    """Return what the stores count, now that nothing of theirs writes any more."""
    counts: dict[str, int] = {}
    for policy in {part.policy.service: part.policy for part in parts}.values():
        for container in stores:
            if container.service == policy.service:
                found = store_commands.count(stack.engine, policy, container)
                counts |= {} if found is None else {policy.service: found}
    return counts


def stage(
    place: Destination,
    journal: Journal,
    kept: BackupSet,
    parts: Sequence[RestoreTarget],
    keys: Sequence[Any],
) -> None:
    """Unpack every archive beside the data that it will replace."""
    journal.reach("staging", touched=True, ending=[])
    for part in parts:
        say(f"unpacking {readable_size(part.archive.bytes)} into {part.volume}")
        place.stage(kept, part, keys, restore=journal.facts["run"])
        journals.reached(f"after staging {part.volume}")


def mend(talk: Helper, run: str, part: RestoreTarget) -> None:
    """Let a store's own fix-up finish what was unpacked."""
    if part.policy.repair_command:
        talk.ask("mend", restore=run, command=part.policy.repair_command)


def unpack(talk: Helper, run: str, manifest: Manifest, part: RestoreTarget) -> None:
    """Unpack a part's archive beside the data in its volume."""
    with meter(part.archive.key, part.archive.bytes) as report:
        talk.ask(
            "stage",
            report,
            restore=run,
            compression=manifest.compression,
            max_files=part.archive.files,
            max_bytes=part.archive.bytes,
            sha256=part.archive.plain_sha256,
        )


def swap_and_try(
    stack: StackContext, journal: Journal, parts: Sequence[RestoreTarget]
) -> None:
    """Swap the staged data in, start its stores, and commit once they prove it."""
    journal.reach("swapping")
    for part in parts:
        check_rest(stack, journal, parts)
        with restore_rollback.at_volume(stack, journal, part.volume) as talk:
            talk.ask("swap in", restore=journal.facts["run"])
        journals.reached(f"after swapping {part.volume}")
    check_rest(stack, journal, parts)
    journal.reach("trying")
    services = journal.facts["services"]
    containers = [c for c in stack.refresh() if c.service in services]
    tried = service_control.to_stop(containers)
    service_control.start(stack, tried)
    service_control.wait(stack, tried)
    for part in parts:
        _compare_count(stack, part)
    journal.reach("committed", committed=True)


def check_rest(
    stack: StackContext, journal: Journal, parts: Sequence[RestoreTarget]
) -> None:
    """Raise DataError when a container holds a volume that is to be swapped."""
    if stack.engine.boot_id() != journal.facts["engine"]:
        raise DataError("the engine was started during the restore")
    for part in parts:
        for container in service_control.users_of(stack, part.volume):
            raise DataError(
                f"{container.name} was started during the restore and uses "
                f"{part.volume}"
            )


def _compare_count(stack: StackContext, part: RestoreTarget) -> None:
    """Raise DataError when the store does not hold what the set says."""
    if not part.store.count:
        return
    running = service_control.running_of(stack.refresh(), [part.policy.service])
    found = (
        store_commands.count(stack.engine, part.policy, running[0]) if running else None
    )
    if not part.store.holds(found):
        raise DataError(
            f"{part.policy.service} counts {found} after the restore, the set says "
            f"{' to '.join(map(str, part.store.count))}"
        )
