"""What shares a service's namespaces goes along when its containers are replaced."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from compose_ops.console import say
from compose_ops.docker.api import Container
from compose_ops.errors import ComposeOpsError
from compose_ops.interrupts import undoing
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.wait import wait

LIVING = frozenset({"running", "restarting"})


@contextmanager
def followed(
    stack: StackContext,
    services: Collection[str],
    timeout: int | None,
    *,
    ran: Iterable[str] = (),
) -> Iterator[Callable[[], None]]:
    """
    Recreate what ran before a block and follows what the block started anew.

    A container in the namespace of one that is gone, or that was started anew, has no
    network any more, and says nothing of it. What follows *services* is recreated also
    where that happened before the block; *ran* are followers that ran before a change
    that did not end. A block that fails raises its own error all the same. What is
    yielded does it at once, for a block that waits for health. Raises UnhealthyError
    where one does not get healthy again.
    """
    if not any(map(stack.model.followers, stack.model.services)):
        yield lambda: None
        return
    change = _Change(stack, services, stack.refresh(), frozenset(ran))
    recreated: set[str] = set()
    one_at_a_time = Lock()

    def follow() -> None:
        with one_at_a_time:
            if behind := change.left_behind():
                for name, owner in behind.items():
                    say(f"recreating {name}: it follows {owner}")
                recreated.update(behind)
                names = sorted(behind)
                stack.engine.up(names, dependencies=False, recreate="always")

    what = "recreating what follows others"
    try:
        yield follow
    except BaseException:
        with undoing(what):
            try:
                follow()
            except ComposeOpsError as wrong:
                say(f"warning: {wrong.message}")
        raise
    with undoing(what):
        follow()
    if recreated:
        wait(stack, recreated, timeout)


def running_followers(stack: StackContext, service: str) -> list[str]:
    """Return the services that live and follow *service*."""
    names = stack.model.followers(service)
    return sorted(_living(stack.refresh()).intersection(names)) if names else []


@dataclass(frozen=True, slots=True)
class _Change:
    """The containers before a change; `ran` lived before one that did not end."""

    stack: StackContext
    services: Collection[str]
    before: Sequence[Container]
    ran: frozenset[str]

    def left_behind(self) -> dict[str, str]:
        """Return the followers to recreate, each with what it follows."""
        model = self.stack.model
        there = _by_service(self.stack.refresh())
        lived = _living(self.before) | self.ran
        found: dict[str, str] = {}
        for owner in model.services:
            owners = [c for c in there.get(owner, ()) if c.is_running]
            for name in model.followers(owner) if owners else ():
                own = there.get(name, ())
                if name in lived and own and self._is_behind(own, owners):
                    found.setdefault(name, owner)
        for name in list(found):
            for other in model.followers(name):
                if other in lived:
                    found.setdefault(other, name)
        return found

    def _is_behind(self, own: Sequence[Container], owners: Sequence[Container]) -> bool:
        """Say whether a follower has lost *owners*, which run."""
        name, owner = own[0].service, owners[0].service
        ended = name not in self.stack.model.jobs and any(not c.is_running for c in own)
        if self._is_anew(owner, owners):
            return (
                ended
                or bool(_starts(own) & _starts(self.before))
                or _first_start(own) < max(map(_start, owners))
            )
        if owner not in self.services:
            return False
        is_dead = owner in self.stack.model.shares(name) and _first_start(
            own
        ) < _first_start(owners)
        return is_dead or (ended and name in self.ran)

    def _is_anew(self, owner: str, owners: Sequence[Container]) -> bool:
        """Say whether one was started in place of one before, not only beside it."""
        before = _starts(c for c in self.before if c.service == owner)
        now = _starts(owners)
        return bool(before - now) and bool(now - before)


def _by_service(containers: Iterable[Container]) -> Mapping[str, list[Container]]:
    found: dict[str, list[Container]] = {}
    for container in containers:
        found.setdefault(container.service, []).append(container)
    return found


def _living(containers: Iterable[Container]) -> set[str]:
    return {c.service for c in containers if c.state in LIVING}


def _starts(containers: Iterable[Container]) -> set[tuple[str, datetime | None]]:
    return {(c.id, c.started) for c in containers}


def _start(container: Container) -> datetime:
    return container.started or container.created


def _first_start(containers: Iterable[Container]) -> datetime:
    return min(map(_start, containers))
