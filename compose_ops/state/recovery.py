"""One task at a time changes a project, after it put right what a dead one left."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from compose_ops.console import say
from compose_ops.docker.api import Container, Engine, EngineInfo
from compose_ops.errors import ComposeOpsError, DataError, UnhealthyError
from compose_ops.state import engine_lock, folder, journal, store
from compose_ops.state.journal import HasState, Journal
from compose_ops.state.lock import locked

MAX_SHOWN = 100  # characters

Undo = Callable[[Any, Journal], None]
Concerns = Callable[[Mapping[str, Any]], Collection[str] | None]


class Project(HasState, Protocol):
    """What recovery needs of an opened project."""

    root: Path
    project: str
    dry: bool
    is_provisional: bool
    everyone: tuple[Container, ...]
    engine: Engine

    @property
    def info(self) -> EngineInfo: ...

    def reload(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Handler:
    """How a kind of journal is undone, and which services it concerns (None: all)."""

    undo: Undo
    concerns: Concerns


@dataclass(frozen=True, slots=True)
class Unfinished:
    """
    A task that did not end, as `status` and doctor name it.

    `age` is seconds since it last wrote; `services` are those that it concerns, None
    for all; `problem` says why its journal cannot be read, "" when it can.
    """

    kind: str
    step: str
    age: float
    path: Path
    services: tuple[str, ...] | None
    problem: str = ""

    @property
    def task(self) -> str:
        return _task(self.kind)


_handlers: dict[str, Handler] = {}


def register(
    kind: str, undo: Undo, *, concerns: Concerns = lambda _facts: None
) -> None:
    """
    Say how journals of *kind* are undone: `undo(stack, journal)` closes the journal.

    It may be called again after any interruption of itself. Whoever composes the
    library registers every kind before the first `exclusive`.
    """
    _handlers[kind] = Handler(undo, concerns)


@contextmanager
def exclusive(
    stack: Project,
    task: str,
    *,
    services: Collection[str] | None = None,
    kinds: Collection[str] = (),
    skip: Collection[str] = (),
) -> Iterator[None]:
    """
    Hold the project's locks for *task*, once what dead tasks left was undone.

    Journals of the kinds in *skip* are left alone. What cannot be undone ends a task
    that concerns the same *services* (None: all) or needs its kind to have ended
    (*kinds*); other tasks go on with a warning. A dry run changes nothing, and waits
    for nobody. Raises Locked, and what an undo raises.
    """
    if stack.dry:
        yield
        return
    with (
        locked(stack.info.id, stack.project, task=task),
        engine_lock.locked(stack.engine, stack.project, task=task),
    ):
        moved = folder.prepare(stack.root, stack.info.id, stack.project)
        if moved or stack.is_provisional:
            stack.reload()
        _remove_partial(stack)
        _undo_all(stack, services=services, kinds=kinds, skip=skip)
        yield


def recover(stack: Project, task: str = "compose-ops recover") -> None:
    """
    Undo what dead tasks left, and nothing else; quiet where nothing is left.

    Raises what hinders the first that cannot be undone, after all were tried.
    """
    with exclusive(stack, task, kinds=tuple(_handlers)):
        pass


def pending(stack: HasState) -> tuple[Unfinished, ...]:
    """Return the tasks that did not end. It takes no lock: one may still be at work."""
    return tuple(
        Unfinished(
            _printable(found.kind),
            _printable(found.step),
            found.age,
            found.path,
            _services(found),
            found.problem.message if found.problem else "",
        )
        for found in journal.pending(stack)
    )


def _undo_all(
    stack: Project,
    *,
    services: Collection[str] | None,
    kinds: Collection[str],
    skip: Collection[str],
) -> None:
    left = [found for found in journal.pending(stack) if found.kind not in skip]
    failures: list[tuple[Journal, ComposeOpsError]] = []
    for found in left:
        try:
            _undo(stack, found)
        except ComposeOpsError as refused:
            failures.append((found, refused))
    if left:
        stack.everyone = stack.engine.containers()
    blocking = [
        failed
        for found, failed in failures
        if found.kind in kinds or _overlaps(_services(found), services)
    ]
    if blocking:
        raise blocking[0]
    for _, failed in failures:
        say(f"warning: {failed.message}")


def _undo(stack: Project, found: Journal) -> None:
    """Undo one; raises what hinders it, with the way on."""
    if found.problem:
        raise found.problem
    handler = _handlers.get(found.kind)
    if handler is None:
        raise DataError(
            f"{found.path} is of a task that this version does not know: "
            + _printable(found.kind),
            hint="use the version of compose-ops that wrote it",
        )
    step = _printable(found.step)
    say(f"{_task(found.kind)} died at the step '{step}': putting things back")
    try:
        handler.undo(stack, found)
    except UnhealthyError as late:
        # All is as it was before; what ails the service is no matter of this task.
        say(f"warning: {late.message}")
        found.close()
    except ComposeOpsError as failed:
        failed.message = f"an interrupted {found.kind} is not undone: {failed.message}"
        failed.hint = "; ".join(
            filter(None, [failed.hint, "the next task tries again (invoke recover)"])
        )
        raise
    except OSError as refused:
        raise DataError(
            f"an interrupted {found.kind} is not undone: "
            f"{refused.filename or found.path}: {refused.strerror}",
            hint="repair that; the next task tries again (invoke recover)",
        ) from refused
    except store.UNREADABLE as wrong:
        reason = f"{type(wrong).__name__} {wrong} while it was undone"
        raise store.damaged(found.path, reason, journal.WITHOUT) from wrong


def _task(kind: str) -> str:
    return f"{'an' if kind[:1] in 'aeiou' else 'a'} {kind}"


def _services(found: Journal) -> tuple[str, ...] | None:
    """Return the services that a journal concerns, None for all."""
    handler = _handlers.get(found.kind)
    if found.problem or handler is None:
        return None
    try:
        known = handler.concerns(found.facts)
        return None if known is None else tuple(sorted(map(_printable, known)))
    except store.UNREADABLE:
        return None


def _printable(text: str) -> str:
    """Return what a file says as it can be shown: it may hold anything."""
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return shown[:MAX_SHOWN]


def _overlaps(one: Collection[str] | None, other: Collection[str] | None) -> bool:
    """Say whether two tasks concern the same services; None stands for all."""
    if one is None or other is None:
        return bool(one is None or one) and bool(other is None or other)
    return not set(one).isdisjoint(other)


def _remove_partial(stack: Project) -> None:
    """Remove what a task that died was writing: under the lock nobody else writes."""
    for path in (*stack.state.glob(".*.partial"), *stack.state.glob("*/.*.partial")):
        try:
            path.unlink(missing_ok=True)
        except OSError as refused:
            say(f"warning: {path} cannot be removed: {refused.strerror}")
