"""Hold a running store for a native copy: its lock or snapshot, and its session."""

from contextlib import ExitStack

from compose_ops.backup import session, store_commands, unlock
from compose_ops.backup.policy import Policy
from compose_ops.backup.store_backup import StoreBackup
from compose_ops.console import say
from compose_ops.docker.api import Container
from compose_ops.errors import DataError, EngineError
from compose_ops.runtime.context import StackContext
from compose_ops.state.journal import Journal


def hold(
    stack: StackContext, journal: Journal, item: StoreBackup, sessions: ExitStack
) -> str:
    """
    Hold a store until it is copied; return "", or why that is not possible.

    Its lock is in the journal before it is taken, and not any more after a refusal.
    *sessions* ends the session that holds it.
    """
    lock = _lock(journal, item.policy, item.running[0])
    known = list(journal.facts.get("locked", []))
    journal.reach("preparing stores", locked=[*known, lock])
    item.note_rest(stack.engine)
    refusal = _prepare(stack, item, lock["mark"], sessions)
    if refusal:
        _release(stack, lock)
        journal.reach("store not prepared", locked=known)
        return refusal
    if not item.policy.session:
        del lock["mark"]
    journal.reach("store prepared", locked=[*known, lock])
    item.note_count(stack.engine)
    return ""


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
        "started": unlock.start_time(container),
    }


def _prepare(
    stack: StackContext, item: StoreBackup, mark: str, sessions: ExitStack
) -> str:
    """Prepare a store and begin its session; return "", or why that is not possible."""
    policy = item.policy
    if policy.session and len(policy.mounts) > 1:
        return "its data lies in several folders"
    refusal = store_commands.prepared(stack.engine, policy, item.running[0], mark)
    if refusal or not policy.session:
        return refusal
    return _begin_session(stack, item, mark, sessions)


def _begin_session(
    stack: StackContext, item: StoreBackup, mark: str, sessions: ExitStack
) -> str:
    with ExitStack() as begun:
        held = begun.enter_context(
            session.opened(stack.engine, item.policy, item.running[0], mark)
        )
        try:
            held.wait_until_ready()
        except DataError as refused:
            return refused.message.partition(" ended: ")[2] or refused.message
        item.session = held
        sessions.push(begun.pop_all())
    return ""


def _release(stack: StackContext, lock: dict[str, str]) -> None:
    """Release what a preparation that failed may hold; there may be nothing."""
    try:
        unlock.unlock(stack, lock)
    except EngineError as refused:
        say(f"warning: {refused.message}")
