"""One way to carry out a plan: steps with an undo, a journal, and nothing half done."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from compose_ops.errors import ComposeOpsError
from compose_ops.interrupts import undoing
from compose_ops.state.journal import Journal


def _nothing() -> None:
    """Undo a step that leaves nothing to undo."""


@dataclass(frozen=True, slots=True)
class Step:
    """
    A change and what takes it back; `name` says what happens, as `stop db-1` does.

    `undo` also runs where `do` failed or was interrupted in the middle, and after any
    other step: it tolerates whatever it finds.
    """

    name: str
    do: Callable[[], object]
    undo: Callable[[], object] = _nothing


def execute(
    steps: Sequence[Step], *, journal: Journal | None = None, keep: bool = True
) -> None:
    """
    Do *steps* in turn; if one raises anything, undo what was begun, the last first.

    The *journal* says each step before it begins and is closed at the end, so that a
    handler of its kind can undo what a task that died began. Without *keep* all is
    undone at the end, too. An undo that fails stops no other: the error that is raised
    names it, and the journal stays for the next task.

    >>> log = []
    >>> execute([Step("begin", lambda: log.append("do"), lambda: log.append("undo"))])
    >>> log
    ['do']
    """
    begun: list[Step] = []
    try:
        for step in steps:
            if journal:
                journal.reach(step.name)
            begun.append(step)
            step.do()
    except BaseException as failed:
        problems = _undone(begun)
        _report(failed, problems)
        if journal and not problems:
            journal.close()
        raise
    if not keep:
        with undoing("undoing what was begun"):
            _take_back(begun)
            if journal:
                journal.close()
    elif journal:
        journal.close()


def _take_back(begun: Sequence[Step]) -> None:
    """Undo steps that succeeded; raises the first undo that fails, after all others."""
    if problems := _undone(begun):
        _, first = problems[0]
        _report(first, problems[1:])
        raise first


def _undone(begun: Sequence[Step]) -> list[tuple[Step, Exception]]:
    """Undo steps, the last first; return what could not be undone, and why."""
    problems: list[tuple[Step, Exception]] = []
    for step in reversed(begun):
        try:
            with undoing(f"undoing '{step.name}'"):
                step.undo()
        except Exception as refused:  # noqa: BLE001 - the other steps are undone
            problems.append((step, refused))
    return problems


def _report(failed: BaseException, problems: Sequence[tuple[Step, Exception]]) -> None:
    """Say in the error what else is as it should not be."""
    lines = [f"not undone: {step.name}: {_reason(why)}" for step, why in problems]
    if lines and isinstance(failed, ComposeOpsError):
        failed.detail = "\n".join(filter(None, [failed.detail, *lines]))
        failed.hint = "; ".join(
            filter(None, [failed.hint, "not all could be undone: see above"])
        )
    for line in lines:
        failed.add_note(line)


def _reason(why: Exception) -> str:
    return why.message if isinstance(why, ComposeOpsError) else str(why)
