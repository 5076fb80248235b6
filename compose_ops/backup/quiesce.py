"""Quiesce stores for a copy, and verify afterwards that they stayed quiesced."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from compose_ops.backup import service_control, session, store_commands, unlock
from compose_ops.backup.policy import Policy
from compose_ops.backup.session import Session
from compose_ops.console import say
from compose_ops.docker.api import Container
from compose_ops.errors import DataError, EngineError
from compose_ops.runtime.context import StackContext
from compose_ops.state.journal import Journal

CHANGES = {"native": "growth", "stop": "none", "crash": "any"}


@dataclass(slots=True)
class StoreBackup:
    """
    A store that is to be taken; `level` becomes what was reached.

    `roots` say where in each folder the data lies, `resting` holds the containers that
    must stay as they are while it is copied, and `session` holds it for a native copy.
    """

    policy: Policy
    level: str
    forced: bool
    containers: tuple[Container, ...]
    roots: Mapping[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    count: list[int] = field(default_factory=list)
    resting: dict[str, Container] = field(default_factory=dict)
    session: Session | None = None

    @property
    def running(self) -> list[Container]:
        return [c for c in self.containers if c.state in service_control.LIVING]

    def paths(self, key: str, patterns: Sequence[str]) -> list[str]:
        """Return patterns of the data folder as those of the folder *key*."""
        root = self.roots.get(key, "")
        if not root:
            return list(patterns)
        return [f"./{root}/{pattern.removeprefix('./')}" for pattern in patterns]

    def end_session(self, key: str) -> dict[str, bytes]:
        """End the copy's time; return its files by their paths in the folder *key*."""
        if self.session is None:
            return {}
        root = self.roots.get(key, "")
        return {
            f"{root}/{path}" if root else path: data
            for path, data in self.session.stop().items()
        }


def quiesce(
    stack: StackContext,
    journal: Journal,
    items: Sequence[StoreBackup],
    sessions: ExitStack,
    *,
    coherent: bool,
) -> None:
    """
    Halt what depends on the stores, then stop, lock or snapshot them.

    Every step is in the journal before it is taken; *sessions* ends those that hold a
    store. Raises DataError when a native consistency is asked for and not possible.
    """
    _look_up(stack, items)
    stopping = [i for i in items if i.level == "stop" and i.running]
    native = [i for i in items if i.level == "native" and i.running]
    _halt_dependents(stack, journal, items if coherent else stopping, stopping)
    count(stack, items)
    _stop(stack, journal, stopping)
    failed = [i for i in native if not _prepared(stack, journal, i, sessions)]
    if failed:
        _halt_dependents(stack, journal, [*stopping, *failed], failed)
        _stop(stack, journal, failed)
    for item in items:
        if not item.resting:
            _note_rest(stack, item)
    if coherent:
        _note_dependents(stack, items)


def _look_up(stack: StackContext, items: Sequence[StoreBackup]) -> None:
    """Take the containers as they are now, those that do not run as they ended."""
    there = stack.refresh()
    for item in items:
        item.containers = tuple(c for c in there if c.service == item.policy.service)
        if not item.running:
            _judge_absent(item)


def _judge_absent(item: StoreBackup) -> None:
    """Take a store that does not run as it ended: cleanly, or nobody knows how."""
    ends = [c for c in item.containers if c.state == "exited"]
    clean = ends and all(_is_clean(item.policy, c) for c in ends)
    item.exit_code = ends[0].exit_code if ends else None
    item.level = "stop" if clean else "crash"
    item.resting = {c.id: c for c in item.containers}
    if not clean:
        how = f"ended with exit code {item.exit_code}" if ends else "was never stopped"
        say(f"{item.policy.service} {how}: the set is marked crash")


def _is_clean(policy: Policy, container: Container) -> bool:
    return container.exit_code in policy.clean_exits and not container.oom_killed


def _halt_dependents(
    stack: StackContext,
    journal: Journal,
    items: Sequence[StoreBackup],
    stopping: Sequence[StoreBackup],
) -> None:
    services = [item.policy.service for item in items]
    taken = service_control.dependents_of(stack, services)
    known = list(journal.facts.get("dependents", []))
    found = service_control.running_of(stack.refresh(), taken)
    halted = service_control.as_halted(found)
    journal.reach("halting dependents", dependents=[*halted, *known])
    if stopping:
        service_control.stop(stack, journal, halted)
    elif halted:
        say("pausing " + ", ".join(h["name"] for h in halted))
        stack.engine.pause(*(h["id"] for h in halted))


def _note_dependents(stack: StackContext, items: Sequence[StoreBackup]) -> None:
    """Let a set be coherent only if nothing that depends on its stores ran."""
    taken = service_control.dependents_of(
        stack, [item.policy.service for item in items]
    )
    for container in stack.refresh():
        if container.service in taken:
            if container.state in service_control.LIVING:
                raise _disturbed(container.name)
            items[0].resting[container.id] = container


def count(stack: StackContext, items: Sequence[StoreBackup]) -> None:
    """Ask each store that runs, or ran, how much it holds."""
    for item in items:
        for container in item.running[:1]:
            found = store_commands.count(stack.engine, item.policy, container)
            item.count += [] if found is None else [found]


def _stop(stack: StackContext, journal: Journal, items: Sequence[StoreBackup]) -> None:
    halted = [h for item in items for h in service_control.as_halted(item.running)]
    known = list(journal.facts.get("stores", []))
    journal.reach("stopping stores", stores=[*known, *halted])
    for item in items:
        service_control.stop(stack, journal, service_control.as_halted(item.running))
        _note_rest(stack, item)
        for container in item.resting.values():
            if container.state != "exited":
                raise _disturbed(container.name)
        ended = [item.resting.get(c.id) for c in item.running]
        item.exit_code = next((c.exit_code for c in ended if c), None)
        clean = all(c is not None and _is_clean(item.policy, c) for c in ended)
        item.level = "stop" if clean else "crash"
        if not clean:
            say(
                f"{item.policy.service} did not end by itself (exit code "
                f"{item.exit_code}): the set is marked crash"
            )


def _prepared(
    stack: StackContext, journal: Journal, item: StoreBackup, sessions: ExitStack
) -> bool:
    """Let a store be copied while it runs; False when it has to be stopped for it."""
    policy, container = item.policy, item.running[0]
    lock = _lock(journal, policy, container)
    known = list(journal.facts.get("locked", []))
    journal.reach("preparing stores", locked=[*known, lock])
    _note_rest(stack, item)
    why = _refusal(stack, item, container, lock["mark"], sessions)
    if not why:
        held = {key: value for key, value in lock.items() if key != "mark"}
        journal.reach(
            "store prepared", locked=[*known, lock if policy.session else held]
        )
        count(stack, [item])
        return True
    _give_up(stack, journal, lock)
    if item.forced or "stop" not in policy.levels:
        raise DataError(
            f"{policy.service} cannot be copied while it runs: {why}",
            hint="--consistency stop stops it for the copy",
        )
    say(f"{policy.service} cannot be copied while it runs ({why}): stopping it")
    item.level = "stop"
    return False


def _lock(journal: Journal, policy: Policy, container: Container) -> dict[str, str]:
    """Return what releases a store, for the journal; `mark` finds what prepares it."""
    return {
        "service": policy.service,
        "id": container.id,
        "shell": policy.shell,
        "user": policy.user,
        "release": policy.release,
        "session": "held" if policy.session else "",
        "mark": f"{unlock.MARK}={journal.facts['run']} {policy.service}",
        "started": unlock.moment(container),
    }


def _refusal(
    stack: StackContext,
    item: StoreBackup,
    container: Container,
    mark: str,
    sessions: ExitStack,
) -> str:
    """Prepare a store and begin its session; return "", or why that is not possible."""
    policy = item.policy
    if policy.session and len(policy.mounts) > 1:
        return "its data lies in several folders"
    why = store_commands.prepared(stack.engine, policy, container, mark)
    if why or not policy.session:
        return why
    with ExitStack() as begun:
        held = begun.enter_context(
            session.opened(stack.engine, policy, container, mark)
        )
        try:
            held.wait_until_ready()
        except DataError as refused:
            return refused.message.partition(" ended: ")[2] or refused.message
        item.session = held
        sessions.push(begun.pop_all())
    return ""


def _give_up(stack: StackContext, journal: Journal, lock: dict[str, str]) -> None:
    """Release what a preparation that failed may hold; there may be nothing."""
    try:
        unlock.unlock(stack, lock)
    except EngineError as refused:
        say(f"warning: {refused.message}")
    locked = [one for one in journal.facts["locked"] if one != lock]
    journal.reach("store not prepared", locked=locked)


def _note_rest(stack: StackContext, item: StoreBackup) -> None:
    for container in item.containers:
        now = stack.engine.container(container.id)
        if now is not None:
            item.resting[container.id] = now


def check_rest(
    stack: StackContext, items: Sequence[StoreBackup], *, engine_mark: str
) -> None:
    """Raise DataError when a store, or the engine, was started under the copy."""
    if stack.engine.boot_id() != engine_mark:
        raise _disturbed("the engine")
    there = {container.id: container for container in stack.refresh()}
    for item in items:
        for before in item.resting.values():
            now = there.get(before.id)
            state = (now.state, now.started) if now else None
            if state != (before.state, before.started):
                raise _disturbed(before.name)
        for new in service_control.running_of(
            list(there.values()), [item.policy.service]
        ):
            if new.id not in item.resting:
                raise _disturbed(new.name)


def _disturbed(what: str) -> DataError:
    return DataError(
        f"{what} was started or ended while the data was copied: the copy is discarded",
        hint="run the backup again",
    )
