"""Remove containers and networks, and the data only when that is confirmed."""

from compose_ops.console import confirm, say
from compose_ops.errors import UsageError
from compose_ops.runtime.context import StackContext
from compose_ops.stack import removals
from compose_ops.stack.plan import print_plan
from compose_ops.state.recovery import exclusive


def down(stack: StackContext, *, volumes: bool = False, yes: bool = False) -> None:
    """
    Remove containers and networks; with *volumes* the data too, when confirmed.

    What is removed is what was announced. Raises UsageError when the project's name is
    not typed, ConfigurationError when others use a volume.
    """
    updates = stack.collaborators.rollout
    removal = removals.plan(stack, volumes=volumes)
    if stack.dry:
        print_plan(removal.steps())
        return
    if removal.volumes:
        say("this destroys: " + ", ".join(removal.volumes))
        question = f"The data of {stack.project} will be lost."
        if not confirm(question, yes=yes, expected=stack.project):
            raise UsageError(
                "nothing was removed: the project's name was not typed",
                hint="invoke backup --all keeps the data; --yes answers for a script",
            )
    with exclusive(stack, "invoke down", services=(), skip=("update",)):
        before = stack.refresh()
        removals.remove_hidden(stack, removal)
        stack.engine.down(volumes=False)
        stack.collaborators.backups.remember_ends(stack, before)
        for name in removal.volumes:
            if stack.engine.volume(name) is not None:
                stack.engine.remove_volume(name)
        updates.all_removed(stack)
        if removal.volumes:
            stack.collaborators.backups.forget_removed_volumes(stack)
