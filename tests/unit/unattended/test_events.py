"""What a task's outcome is worth telling, and what of it is remembered."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from compose_ops.notify.events import events
from compose_ops.notify.outcome import Outcome, remembered
from compose_ops.state.runs import Copy, Runs

NOW = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)
GOOD = Outcome("backup", "shop", NOW, NOW + timedelta(seconds=9), 9.0, 0)
BAD = replace(GOOD, exit_code=5, error="no Docker Engine answers")


def at(days: float) -> str:
    return (NOW - timedelta(days=days)).isoformat()


def copy(service: str = "db", dest: str = "/sets", *, age: float = 0) -> Copy:
    return Copy(service, dest, success=at(age), verified=at(age), bytes=100)


def told(outcome: Outcome, before: Runs) -> list[str]:
    after = remembered(before, outcome)
    return [event.name for event in events(outcome, before, after, unverified_days=3)]


def with_copies(*copies: Copy) -> Outcome:
    return replace(GOOD, copies=copies, destinations=("/sets",))


def test_failure_is_told_each_time_and_success_once_after_it() -> None:
    first = remembered(Runs(), BAD)
    second = remembered(first, BAD)
    third = remembered(second, GOOD)

    assert [told(BAD, Runs()), told(BAD, first)] == [["failed"], ["failed"]]
    assert told(GOOD, second) == ["recovered"]
    assert told(GOOD, third) == []
    assert told(GOOD, Runs()) == []


def test_failure_of_a_drill_has_a_name_of_its_own() -> None:
    assert told(replace(BAD, task="drill"), Runs()) == ["drill-failed"]


def test_limit_of_days_may_be_any_number() -> None:
    found = events(GOOD, Runs(), remembered(Runs(), GOOD), unverified_days=10**12)

    assert list(found) == []


def test_failure_says_when_it_last_went_well() -> None:
    before = remembered(Runs(), GOOD)
    (event,) = events(BAD, before, remembered(before, BAD), unverified_days=3)

    assert event.title == "shop: backup failed"
    assert "no Docker Engine answers" in event.body
    assert "exit code 5" in event.body
    assert f"last success: {GOOD.ended.isoformat()}" in event.body


@pytest.mark.parametrize(
    ("now", "expected"), [(49, ["shrunk"]), (50, []), (0, ["shrunk"])]
)
def test_set_of_less_than_half_is_told(now: int, expected: list[str]) -> None:
    before = Runs(copies=(copy(age=1),))
    made = replace(copy(), bytes=now)

    assert told(with_copies(made), before) == expected


def test_same_set_seen_again_did_not_shrink() -> None:
    before = Runs(copies=(copy(),))

    assert told(with_copies(replace(copy(), bytes=1)), before) == []


@pytest.mark.parametrize(("age", "expected"), [(2.9, []), (3.1, ["unverified"])])
def test_service_without_a_young_verified_set_is_told(
    age: float, expected: list[str]
) -> None:
    assert told(with_copies(copy(age=age), copy("cache")), Runs()) == expected


def test_one_destination_with_a_verified_set_is_enough() -> None:
    before = Runs(copies=(copy(dest="far"),))

    assert told(with_copies(copy(age=9)), before) == []


def test_project_that_never_had_a_set_is_told_after_as_long() -> None:
    assert told(BAD, Runs(since=at(2))) == ["failed"]
    assert told(BAD, Runs(since=at(4))) == ["failed", "unverified"]


def test_recovery_says_nothing_of_sets() -> None:
    outcome = replace(with_copies(copy(age=9)), task="recover", copies=None)

    assert told(outcome, Runs(copies=(copy(age=9),))) == []


def test_run_is_remembered_where_it_can_be_measured() -> None:
    """The duration is of the newest set; a failure changes the exit code alone."""
    first = remembered(Runs(), with_copies(copy()))
    later = BAD.ended + timedelta(days=1)
    failed = remembered(first, replace(BAD, ended=later, destinations=("/sets",)))
    verified = remembered(failed, replace(GOOD, task="verify", seconds=50))

    assert first.copies == (replace(copy(), seconds=9.0),)
    assert failed.copies == (replace(copy(), seconds=9.0, exit_code=5),)
    assert verified.copies == failed.copies
    assert failed.tasks["backup"].succeeded == GOOD.ended.isoformat()


def test_failure_concerns_only_what_was_asked_for() -> None:
    before = Runs(copies=(copy(), copy("cache"), copy(dest="far")))
    outcome = replace(BAD, services=("db",), destinations=("/sets",))
    found = {
        (c.service, c.destination): c.exit_code
        for c in remembered(before, outcome).copies
    }

    assert found == {("db", "/sets"): 5, ("cache", "/sets"): 0, ("db", "far"): 0}


def test_what_a_destination_lost_is_forgotten_and_others_stay() -> None:
    before = Runs(copies=(copy(), copy("cache"), copy(dest="far")))

    found = remembered(before, with_copies(copy()))

    assert {(c.service, c.destination) for c in found.copies} == {
        ("db", "/sets"),
        ("db", "far"),
    }
