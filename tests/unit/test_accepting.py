"""What was accepted with a reason holds for that finding, also before a task."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from judging import judge

from compose_ops.doctor import baseline, requirements, run
from compose_ops.doctor.facts.engine import ModelAnswer
from compose_ops.errors import ConfigurationError, EngineUnavailable
from compose_ops.runtime.engine_location import EngineAnswer
from compose_ops.verdicts import Row, fail

PORT = Row("ports-free", "network", (fail("port 80 is held", "mend", about="80"),))
OTHER = Row("ports-free", "network", (fail("port 81 is held", "mend", about="81"),))
THIRD = Row("ports-free", "network", (fail("port 82 is held", "mend", about="82"),))
OLD = Row("compose-version", "engine", (fail("too old", "mend", about="engine: x"),))


def stack(state: Path | None) -> Any:
    known = None if state is None else object()
    return SimpleNamespace(known=known, state=state, project="trial", mode="base")


def required(monkeypatch: pytest.MonkeyPatch, state: Path | None, row: Row) -> None:
    monkeypatch.setattr(requirements, "run", lambda *_, **__: (row,))
    requirements.require(stack(state), [row.id])


def test_task_goes_on_with_what_was_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = Row("ports-free", "network", (*PORT.verdicts, *THIRD.verdicts))
    baseline.remember(tmp_path, [both], {"ports-free": "they are ours"})

    required(monkeypatch, tmp_path, both)
    required(monkeypatch, tmp_path, PORT)
    with pytest.raises(ConfigurationError, match="port 81"):
        required(monkeypatch, tmp_path, OTHER)


def test_what_a_task_cannot_do_without_is_not_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    baseline.remember(tmp_path, [OLD], {"compose-version": "it will do"})

    with pytest.raises(EngineUnavailable, match="too old"):
        required(monkeypatch, tmp_path, OLD)


def test_accepting_without_an_engine_still_reports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reasons are stored per engine, and none answers."""
    monkeypatch.setattr(requirements, "registered", lambda: {"ports-free": None})
    monkeypatch.setattr(requirements, "run", lambda *_, **__: (PORT,))

    report = run.examine(
        lambda: stack(None), only=["ports-free"], accept=["ports-free=it is ours"]
    )

    assert report.counts()["fail"] == 1
    assert [note.partition(":")[0] for note in report.notes] == [
        "ports-free is not accepted"
    ]


def test_other_trouble_of_the_engine_is_another_finding() -> None:
    """An engine that is slow is not one that refuses, here is not elsewhere."""
    answers = [
        EngineAnswer("slow", ""),
        EngineAnswer("daemon", "gone"),
        EngineAnswer("daemon", "gone", host="tcp://far"),
    ]
    found = {judge("engine-answers", answer=one).finding for one in answers}
    assert len(found) == len(answers)

    words = ["services.app is odd", "services.lab is odd"]
    models = [ModelAnswer(None, one) for one in words]
    found = {judge("model-valid", model_answer=one).finding for one in models}
    assert len(found) == len(words)

    versions = [{"compose": "2.20.3"}, {"compose": "2.1.0"}, {}]
    found = {judge("compose-version", plugins=one).finding for one in versions}
    assert len(found) == len(versions)
