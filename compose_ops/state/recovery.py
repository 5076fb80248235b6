"""One task at a time changes a project, after it put right what a dead one left."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from compose_ops.console import say
from compose_ops.errors import UnhealthyError
from compose_ops.rollout import journal as updates
from compose_ops.runtime.context import StackContext
from compose_ops.state import journal
from compose_ops.state.journal import Journal
from compose_ops.state.lock import locked

# What undoes each kind of journal: `undo(stack, journal)` of a module.
UNDOING = {
    "backup": "compose_ops.backup.recover",
    "restore": "compose_ops.backup.restore_rollback",
    "drill": "compose_ops.backup.drill_project",
}

UPDATE = "compose_ops.rollout.update"


@contextmanager
def changing(stack: StackContext, task: str, *, keeps: bool = True) -> Iterator[None]:
    """
    Hold the project's lock for *task*, once what a dead task left was undone.

    A task that *keeps* no container need not wait for an update to be put right.
    """
    with locked(stack.info.id, stack.project, task=task):
        recover(stack)
        if keeps and updates.read(stack.state):
            import_module(UPDATE).clean_up(stack)
            stack.everyone = stack.engine.containers()
        yield


def recover(stack: StackContext) -> None:
    """Undo what dead tasks but updates have left; the lock must be held. May raise."""
    left = journal.pending(stack)
    for found in left:
        say(f"a {found.kind} died at the step '{found.step}': putting things back")
        try:
            _undo(stack, found)
        except UnhealthyError as late:
            # All is as it was before; what ails the service is no matter of this task.
            say(f"warning: {late.message}")
            found.close()
    if left:
        stack.everyone = stack.engine.containers()


def _undo(stack: StackContext, found: Journal) -> None:
    import_module(UNDOING[found.kind]).undo(stack, found)
