"""Quiesce stores for a copy, and verify afterwards that they stayed quiesced."""

from collections.abc import Collection, Sequence
from contextlib import ExitStack

from compose_ops.backup import native_hold, service_control
from compose_ops.backup.policy import Policy
from compose_ops.backup.service_control import LIVING
from compose_ops.backup.store_backup import Ending, StoreBackup
from compose_ops.console import say
from compose_ops.docker.api import Container
from compose_ops.errors import DataError
from compose_ops.runtime.context import StackContext
from compose_ops.state.journal import Journal

SLACK_SECONDS = 1.0
"""Between a store's last write and the engine's word that it ended."""

CHANGES = {"native": "growth", "stop": "none", "crash": "any"}


def quiesce(
    stack: StackContext,
    journal: Journal,
    items: Sequence[StoreBackup],
    sessions: ExitStack,
    *,
    coherent: bool,
) -> None:
    """
    Stop what writes to the stores' data, then stop, lock or snapshot the stores.

    What depends on a store that is stopped is stopped first; with *coherent* what
    depends on any of them is stopped or paused. Every step is in the journal before it
    is taken; *sessions* ends those that hold a store. Raises DataError when a native
    consistency is asked for and not possible.
    """
    _look_up(stack, items)
    stopping = [i for i in items if i.level == "stop" and i.running]
    native = [i for i in items if i.level == "native" and i.running]
    writers = _writers(items)
    dependents = _dependents(stack, items if coherent else stopping)
    _stop_services(stack, journal, writers)
    if stopping:
        _stop_services(stack, journal, dependents)
    else:
        _pause_services(stack, journal, dependents)
    count(stack, items)
    _stop_stores(stack, journal, stopping)
    refused = _hold(stack, journal, native, sessions)
    _stop_services(stack, journal, _dependents(stack, refused))
    _stop_stores(stack, journal, refused)
    for item in items:
        if not item.resting:
            item.note_rest(stack.engine)
    _note_services(stack, items[0], {*writers, *(dependents if coherent else ())})


def _look_up(stack: StackContext, items: Sequence[StoreBackup]) -> None:
    """Take the containers as they are now, those that do not run as they ended."""
    there = [c for c in stack.refresh() if not c.is_one_off]
    for item in items:
        item.containers = tuple(c for c in there if c.service == item.policy.service)
        if not item.running:
            _judge_absent(item)


def _judge_absent(item: StoreBackup) -> None:
    """Take a store that does not run as it ended: cleanly, or nobody knows how."""
    ends = [c for c in item.containers if c.state == "exited"]
    clean = ends and all(_is_clean(item.policy, c) for c in ends)
    item.exit_code = ends[0].exit_code if ends else None
    if not item.containers and item.ending is not None:
        _judge_removed(item, item.ending)
        return
    item.level = "stop" if clean else "crash"
    item.resting = {c.id: c for c in item.containers}
    if not clean:
        how = f"ended with exit code {item.exit_code}" if ends else "was never stopped"
        say(f"{item.policy.service} {how}: the set is marked crash")


def _judge_removed(item: StoreBackup, ending: Ending) -> None:
    """Take a store as it ended when `down` removed it, if its data is untouched."""
    item.exit_code = ending.exit_code
    clean = ending.exit_code in item.policy.clean_exits and not ending.was_killed
    touched = item.changed > ending.ended + SLACK_SECONDS
    item.level = "stop" if clean and not touched else "crash"
    if item.level == "crash":
        how = "its data was changed since it was removed"
        if not clean:
            how = f"ended with exit code {ending.exit_code}"
        say(f"{item.policy.service}: {how}: the set is marked crash")


def _is_clean(policy: Policy, container: Container) -> bool:
    return container.exit_code in policy.clean_exits and not container.oom_killed


def _writers(items: Sequence[StoreBackup]) -> list[str]:
    """Return the services that write to the data of *items* and are none of them."""
    stores = {item.policy.service for item in items}
    found = dict.fromkeys(name for item in items for name in item.writers)
    return [name for name in found if name not in stores]


def _dependents(stack: StackContext, items: Sequence[StoreBackup]) -> tuple[str, ...]:
    return service_control.dependents_of(stack, [i.policy.service for i in items])


def _to_stop(
    stack: StackContext, journal: Journal, services: Collection[str]
) -> list[service_control.StoppedContainer]:
    """Return the containers of *services* that run, once the journal has them."""
    found = service_control.running_of(stack.refresh(), services)
    stopped = service_control.to_stop(found)
    known = journal.facts.get("dependents", [])
    journal.reach(
        "stopping dependents",
        dependents=[*service_control.as_facts(stopped), *known],
    )
    return stopped


def _stop_services(
    stack: StackContext, journal: Journal, services: Collection[str]
) -> None:
    if services:
        service_control.stop(stack, journal, _to_stop(stack, journal, services))


def _pause_services(
    stack: StackContext, journal: Journal, services: Collection[str]
) -> None:
    paused = _to_stop(stack, journal, services)
    if paused:
        say("pausing " + ", ".join(container.name for container in paused))
        stack.engine.pause(*(container.id for container in paused))


def _note_services(
    stack: StackContext, item: StoreBackup, services: Collection[str]
) -> None:
    """Remember what was stopped for the copy; DataError where some of it runs."""
    for container in stack.refresh() if services else ():
        if container.service in services:
            if container.state in LIVING:
                raise _disturbed(container.name)
            item.resting[container.id] = container


def count(stack: StackContext, items: Sequence[StoreBackup]) -> None:
    """Ask each store that runs, or ran, how much it holds."""
    for item in items:
        item.note_count(stack.engine)


def _stop_stores(
    stack: StackContext, journal: Journal, items: Sequence[StoreBackup]
) -> None:
    stopped = [c for item in items for c in service_control.to_stop(item.running)]
    known = journal.facts.get("stores", [])
    journal.reach(
        "stopping stores", stores=[*known, *service_control.as_facts(stopped)]
    )
    for item in items:
        item.stopped = service_control.CLOCK.now()
        service_control.stop(stack, journal, service_control.to_stop(item.running))
        item.note_rest(stack.engine)
        _judge_stopped(item)


def _judge_stopped(item: StoreBackup) -> None:
    """Set the level that a store's end allows; DataError where it runs again."""
    for container in item.resting.values():
        if container.state != "exited":
            raise _disturbed(container.name)
    ended = [item.resting.get(c.id) for c in item.running]
    item.exit_code = next((c.exit_code for c in ended if c), None)
    clean = all(c is not None and _is_clean(item.policy, c) for c in ended)
    item.level = "stop" if clean else "crash"
    if not clean:
        say(
            f"{item.policy.service} was killed or failed when it was stopped (exit "
            f"code {item.exit_code}): the set is marked crash"
        )


def _hold(
    stack: StackContext,
    journal: Journal,
    items: Sequence[StoreBackup],
    sessions: ExitStack,
) -> list[StoreBackup]:
    """Hold stores for a native copy; return those that have to be stopped instead."""
    refused = []
    for item in items:
        refusal = native_hold.hold(stack, journal, item, sessions)
        if refusal:
            _fall_back(item, refusal)
            refused.append(item)
    return refused


def _fall_back(item: StoreBackup, refusal: str) -> None:
    """Let a store be stopped for the copy; DataError where that was ruled out."""
    message = f"{item.policy.service} cannot be copied while it runs"
    if item.forced or "stop" not in item.policy.levels:
        raise DataError(
            f"{message}: {refusal}",
            hint="--consistency stop stops it for the copy",
        )
    say(f"{message} ({refusal}): stopping it")
    item.level = "stop"


def check_rest(
    stack: StackContext, items: Sequence[StoreBackup], *, engine_mark: str
) -> None:
    """Raise DataError when a store, or the engine, was started under the copy."""
    if stack.engine.boot_id() != engine_mark:
        raise _disturbed("the engine")
    there = {container.id: container for container in stack.refresh()}
    before = {id_: c for item in items for id_, c in item.resting.items()}
    for container in before.values():
        now = there.get(container.id)
        state = (now.state, now.started) if now else None
        if state != (container.state, container.started):
            raise _disturbed(container.name)
    services = [s for item in items for s in (item.policy.service, *item.writers)]
    for new in service_control.running_of(list(there.values()), services):
        if new.id not in before:
            raise _disturbed(new.name)


def _disturbed(what: str) -> DataError:
    return DataError(
        f"{what} was started or ended while the data was copied: the copy is discarded",
        hint="run the backup again",
    )
