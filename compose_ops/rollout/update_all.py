"""The rolling update of every service that runs, one after another."""

from collections.abc import Iterable, Iterator

from compose_ops.project.model import Model
from compose_ops.rollout.result import UpdateResult
from compose_ops.rollout.update import UpdateRequest, update
from compose_ops.runtime.context import StackContext


def update_all(
    stack: StackContext, *, timeout: int | None = None
) -> Iterator[UpdateResult]:
    """
    Update each service that runs to what the compose files say.

    What others depend on goes first. Yields each result; the first update that fails
    raises what `update` raises, and those after it are not begun. *timeout* is that of
    each, in seconds.

    >>> [(r.service, r.result) for r in update_all(stack)]
    [('store', 'nothing-to-do'), ('app', 'updated')]
    """
    running = {c.service for c in stack.refresh() if c.is_running}
    names = (set(stack.model.services) & running) - stack.model.jobs
    for name in in_dependency_order(stack.model, names):
        yield update(stack, name, UpdateRequest(), timeout=timeout)
        stack.reload()


def in_dependency_order(model: Model, names: Iterable[str]) -> list[str]:
    """Return *names*, each behind all of them that it depends on."""
    wanted, found = set(names), dict[str, None]()

    def visit(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        for other in model.needs(name):
            visit(other)
        found[name] = None

    seen: set[str] = set()
    for name in model.services:
        visit(name)
    return [name for name in found if name in wanted]
