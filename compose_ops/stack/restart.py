"""Restart what runs, in the order in which namespaces need it."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from compose_ops.console import say
from compose_ops.docker.api import Container
from compose_ops.errors import UsageError
from compose_ops.runtime import contents
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.followers import followed
from compose_ops.runtime.wait import wait
from compose_ops.stack.plan import print_plan, say_what_stays
from compose_ops.state.recovery import exclusive


def restart(
    stack: StackContext, services: Iterable[str] = (), *, timeout: int | None = None
) -> None:
    """
    Restart what runs of the services, and wait until it is healthy again.

    A gateway is left alone unless it is named: nobody would be served meanwhile.
    """
    updates = stack.collaborators.rollout
    named = stack.model.check_services(services)
    names = set(named or stack.model.services)
    spared = set() if named else updates.gateways(stack)
    names |= {follower for name in names for follower in stack.model.followers(name)}
    running = _running(stack.containers, names - spared)
    if not running:
        raise UsageError("no matching containers run", hint="invoke up starts them")
    if stack.dry:
        print_plan([f"restart container {c.name}" for c in running])
        return
    say_what_stays(stack)
    for name in sorted(spared):
        say(f"{name} goes on serving; invoke restart --service {name} restarts it")
    with (
        exclusive(stack, "invoke restart", services=named or None),
        contents.remembered(stack),
        followed(stack, names, timeout),
    ):
        running = _running(stack.refresh(), names - spared)
        for batch in _in_turn(stack, running):
            _restart(stack, batch, timeout)
        wait(stack, {c.service for c in running}, timeout)


def _restart(
    stack: StackContext, batch: Sequence[Container], timeout: int | None
) -> None:
    """Restart what is as it was: what follows an updated service is new already."""
    updates = stack.collaborators.rollout
    left = _as_before(stack, batch)
    rolled = updates.rolled(stack, dict.fromkeys(c.service for c in left))
    updates.update(stack, rolled, because="to be restarted", timeout=timeout)
    others = [c for c in batch if c.service not in rolled]
    if left := _as_before(stack, others):
        stack.engine.restart(*(c.id for c in left))


def _as_before(stack: StackContext, batch: Sequence[Container]) -> list[Container]:
    """Return what of *batch* has neither been replaced nor started since."""
    now = {c.id: c.started for c in stack.refresh()}
    return [c for c in batch if c.id in now and now[c.id] == c.started]


def _running(
    containers: Iterable[Container], names: Collection[str]
) -> list[Container]:
    return [c for c in containers if c.is_running and c.service in names]


def _in_turn(
    stack: StackContext, containers: Sequence[Container]
) -> Iterator[list[Container]]:
    """
    Yield containers in batches: who follows another restarts after it.

    A container in the namespace of another keeps a dead one unless it starts later.
    """
    left = list(containers)
    while left:
        names = {c.service for c in left}
        held = {f for name in names for f in stack.model.followers(name)}
        batch = [c for c in left if c.service not in held] or left
        yield batch
        left = [c for c in left if c not in batch]
