"""What an update records of itself: by the second, by version, and never too much."""

import json
from pathlib import Path

import pytest
from composing import opened
from served import Probing, Served, quick

from compose_ops.errors import RolledBack
from compose_ops.rollout import recording, update
from compose_ops.rollout.answer_counts import difference
from compose_ops.rollout.proxy.haproxy import HAProxy, Totals
from compose_ops.rollout.recording import Answers, Recorder
from compose_ops.rollout.result import UpdateResult
from compose_ops.rollout.statistics import Request
from compose_ops.rollout.update import UpdateRequest

STATISTICS = (
    "# pxname,svname,stot,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,"
    "addr,\n"
    "app,app1,7,0,90,5,3,2,0,10.0.0.2:8000,\n"
    "app,app2,4,0,0,0,0,0,0,10.0.0.3:8000,\n"
    "app,BACKEND,11,0,90,5,3,2,0,,\n"
)


def recorder(passed: float) -> Recorder:
    return Recorder(lambda: 100.0 + passed, 100.0)


def test_a_request_counts_in_the_second_in_which_it_was_due() -> None:
    """A hang shows where it began, with its whole length."""
    requests = [
        Request(100.1, 100.2),
        Request(101.5, 104.0),
        Request(103.0, 103.1, "x"),
    ]

    found = recorder(4.0).recording(requests).seconds

    assert [(s.requests, s.failed) for s in found] == [
        (1, 0),
        (1, 0),
        (0, 0),
        (1, 1),
        (0, 0),
    ]
    assert [s.p99_ms for s in found] == [100.0, 2500.0, 0.0, 100.0, 0.0]


def test_cuts_and_answers_stand_in_their_second() -> None:
    """What was read counts evenly over the time since the reading before."""
    now = [100.5]
    made = Recorder(lambda: now[0], 100.0)
    now[0] = 101.5
    made.answered(0.5, Answers(old=30, new=0))
    now[0] = 102.5
    made.cut(2)
    made.answered(1.5, Answers(old=10, new=20, new_failed=4))

    found = made.recording([]).seconds

    assert [s.cut for s in found] == [0, 0, 2]
    assert [s.answers for s in found] == [
        Answers(15, 0, 0, 0),
        Answers(20, 10, 0, 2),
        Answers(5, 10, 0, 2),
    ]


def test_a_long_update_is_kept_in_as_many_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recording, "MAX_SECONDS", 10)
    requests = [Request(100.0 + n, 100.5 + n) for n in range(95)]

    found = recorder(95.0).recording(requests)

    assert (found.width, len(found.seconds)) == (10, 10)
    assert sum(s.requests for s in found.seconds) == 95


def test_steps_and_notes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_STEPS", 3)
    monkeypatch.setattr(recording, "MAX_NOTES", 3)
    made = recorder(1.0)
    for number in range(9):
        made.note(f"line {number}")
        with made.step("start", ["app-1"]):
            pass

    found = made.recording([Request(100, 101, "wrong") for _ in range(9)])

    assert [len(part) for part in (found.notes, found.steps, found.failures)] == [
        3,
        3,
        3,
    ]


def test_the_gateway_says_what_each_server_answered() -> None:
    """By its HTTP statuses, or its sessions where it speaks none."""
    proxy = HAProxy("gateway", 9999, lambda _command: STATISTICS, recorder(0))  # type: ignore[arg-type]

    assert proxy.totals() == {
        "app/app1": Totals("10.0.0.2:8000", 100, 2),
        "app/app2": Totals("10.0.0.3:8000", 4, 0),
    }


def test_a_server_is_of_the_version_that_it_stands_for_now() -> None:
    """Its counters go on when another replica gets it, and begin anew with HAProxy."""
    before = {"app/1": Totals("old:1", 100, 1), "app/2": Totals("old:2", 50, 0)}
    now = {"app/1": Totals("new:1", 130, 2), "app/2": Totals("old:2", 7, 0)}

    assert difference(before, now, {"new:1"}) == Answers(7, 30, 0, 1)


def test_an_update_tells_its_steps_and_versions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The new containers by name, the old ones as they drain; as JSON, too."""
    engine = Served()
    quick(monkeypatch, engine)
    old = {c.name for c in engine.replicas()}

    outcome = update.update(opened(tmp_path, engine), "app", UpdateRequest(build=True))

    assert outcome.recording
    drained = [s for s in outcome.recording.steps if s.name == "drain and stop"]
    assert {s.containers[0] for s in drained} == old
    assert {s.version for s in drained} == {"old"}
    admitted = [s for s in outcome.recording.steps if s.name == "admit"]
    assert {s.containers[0] for s in admitted} == {c.name for c in engine.replicas()}
    assert {s.version for s in admitted} == {"new"}
    assert json.loads(json.dumps(outcome.as_json()))["recording"]["steps"]


def test_an_update_that_failed_has_its_recording_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine = Served()
    engine.sick.add("sha256:built")
    quick(monkeypatch, engine, Probing())

    with pytest.raises(RolledBack) as failed:
        update.update(opened(tmp_path, engine), "app", UpdateRequest(build=True))

    outcome = failed.value.outcome
    assert isinstance(outcome, UpdateResult)
    assert (outcome.result, outcome.plan.service) == ("failed", "app")
    assert outcome.recording
    assert "put the old version back" in [s.name for s in outcome.recording.steps]
