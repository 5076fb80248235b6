"""Steps: done in turn, or undone in reverse, whatever happens between."""

import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from compose_ops import interrupts
from compose_ops.errors import EngineError
from compose_ops.state import journal
from compose_ops.state.executor import Step, execute


class Log(list[str]):
    """Steps that write down what is done; named ones fail."""

    def step(
        self,
        name: str,
        failure: BaseException | None = None,
        undo_failure: Exception | None = None,
    ) -> Step:
        def do() -> None:
            self.append(f"do {name}")
            if failure:
                raise failure

        def undo() -> None:
            self.append(f"undo {name}")
            if undo_failure:
                raise undo_failure

        return Step(name, do, undo)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def stack(tmp_path: Path) -> journal.HasState:
    return SimpleNamespace(state=tmp_path)


def test_steps_are_done_and_stay(log: Log) -> None:
    execute([log.step("a"), log.step("b")])

    assert log == ["do a", "do b"]


@pytest.mark.parametrize(
    "failure", [EngineError("refused"), OSError(28, "full"), KeyboardInterrupt()]
)
def test_what_was_begun_is_undone_in_reverse(log: Log, failure: BaseException) -> None:
    """The step that failed may have done half of its work."""
    with pytest.raises(type(failure)):
        execute([log.step("a"), log.step("b", failure), log.step("c")])

    assert log == ["do a", "do b", "undo b", "undo a"]


def test_scaffolding_is_undone_at_the_end(log: Log) -> None:
    execute([log.step("a"), log.step("b")], keep=False)

    assert log == ["do a", "do b", "undo b", "undo a"]


def test_signal_leaves_no_scaffolding(log: Log, stack: journal.HasState) -> None:
    book = journal.begin(stack, "drill", "1")
    interrupt = Step("b", lambda: None, lambda: signal.raise_signal(signal.SIGTERM))

    with pytest.raises(KeyboardInterrupt), interrupts.handled():
        execute([log.step("a"), interrupt], journal=book, keep=False)

    assert log == ["do a", "undo a"]
    assert journal.pending(stack) == ()


def test_undo_that_fails_stops_no_other_and_is_named(log: Log) -> None:
    steps = [
        log.step("a"),
        log.step("b", undo_failure=EngineError("no such container")),
        log.step("c", EngineError("refused", hint="try again")),
    ]

    with pytest.raises(EngineError, match="refused") as failed:
        execute(steps)

    assert log[-3:] == ["undo c", "undo b", "undo a"]
    assert failed.value.detail == "not undone: b: no such container"
    assert failed.value.hint.startswith("try again; not all could be undone")


def test_scaffolding_that_stays_is_an_error(log: Log) -> None:
    steps = [log.step("a", undo_failure=EngineError("busy")), log.step("b")]

    with pytest.raises(EngineError, match="busy"):
        execute(steps, keep=False)

    assert log[-2:] == ["undo b", "undo a"]


def test_journal_says_each_step_before_it_begins(
    log: Log, stack: journal.HasState
) -> None:
    book = journal.begin(stack, "drill", "1")
    seen = []
    steps = [Step("up", lambda: seen.append(journal.pending(stack)[0].step))]

    execute([log.step("write"), *steps], journal=book)

    assert seen == ["up"]
    assert journal.pending(stack) == ()


def test_journal_stays_while_something_is_not_undone(
    log: Log, stack: journal.HasState
) -> None:
    book = journal.begin(stack, "drill", "1")
    with pytest.raises(EngineError):
        execute([log.step("a", EngineError("refused"))], journal=book)
    assert journal.pending(stack) == ()

    book = journal.begin(stack, "drill", "2")
    bad = log.step("b", EngineError("refused"), EngineError("busy"))
    with pytest.raises(EngineError):
        execute([bad], journal=book)

    assert [found.step for found in journal.pending(stack)] == ["b"]


def test_step_that_the_journal_refuses_is_not_begun(
    log: Log, stack: journal.HasState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that nobody could undo after a death is not made."""
    book = journal.begin(stack, "drill", "1")
    execute([log.step("a")])

    def full(step: str, **_: object) -> None:
        if step == "b":
            raise EngineError("disk full")

    monkeypatch.setattr(journal.Journal, "reach", lambda _self, step: full(step))
    with pytest.raises(EngineError, match="disk full"):
        execute([log.step("a"), log.step("b")], journal=book)

    assert log == ["do a", "do a", "undo a"]
