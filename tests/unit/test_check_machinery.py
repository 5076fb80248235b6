"""Facts are collected once and in time; a crash, a gap and a limit are told apart."""

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from compose_ops.doctor import registry, requirements
from compose_ops.doctor.examine import examine
from compose_ops.doctor.registry import Check, Fact, NotMeasuredError
from compose_ops.errors import ConfigurationError
from compose_ops.verdicts import Row, Verdict, command, fail, ok, warn


@pytest.fixture(autouse=True)
def _empty_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "FACTS", {})
    monkeypatch.setattr("compose_ops.doctor.collect.FACTS", registry.FACTS)
    monkeypatch.setattr("compose_ops.doctor.examine.CHECKS", CHECKS)
    CHECKS.clear()


CHECKS: dict[str, Check] = {}


def given_fact(
    name: str, collect: object, *, limit: float = 5, needs: str = ""
) -> None:
    registry.FACTS[name] = Fact(name, tuple(needs.split()), limit, collect)  # type: ignore[arg-type]


def given_check(name: str, judge: object, needs: str) -> None:
    CHECKS[name] = Check(name, "trial", "", "", tuple(needs.split()), judge)  # type: ignore[arg-type]


def rows(*names: str) -> dict[str, Row]:
    return {row.id: row for row in examine(names or tuple(CHECKS), {})}


def judge_number(number: int) -> Iterator[Verdict]:
    yield ok(f"{number}") if number < 5 else fail("too many", "mend it")


def test_fact_is_collected_once_for_many_checks() -> None:
    asked: list[int] = []

    def collect() -> int:
        asked.append(1)
        return len(asked)

    given_fact("number", collect)
    given_check("one", judge_number, "number")
    given_check("two", judge_number, "number")

    assert [row.detail for row in rows().values()] == ["1", "1"]
    assert asked == [1]


def test_facts_are_collected_side_by_side() -> None:
    """Each waits for the other: one after the other they would never end."""
    both = threading.Barrier(2, timeout=30)
    given_fact("left", lambda: both.wait() * 0)
    given_fact("number", lambda left: left + both.n_waiting * 0, needs="left")
    given_fact("right", lambda: both.wait() * 0)
    given_check(
        "check", lambda left, right: iter([ok(f"{left + right}")]), "left right"
    )

    assert rows()["check"].outcome == "ok"


def test_what_is_left_out_is_skipped_and_not_collected() -> None:
    def unwanted() -> int:
        raise AssertionError("collected")

    given_fact("number", lambda: 1)
    given_fact("dear", unwanted)
    given_check("one", judge_number, "number")
    given_check("two", lambda dear: iter([ok(f"{dear}")]), "dear")

    found = {row.id: row for row in examine(("one", "two"), {}, skipped=["two"])}

    assert found.keys() == {"one", "two"}
    assert (found["one"].outcome, found["two"].outcome) == ("ok", "skipped")
    assert found["two"].detail == "left out with --skip"


def test_what_needs_a_missing_fact_is_skipped_with_its_reason() -> None:
    def absent() -> int:
        raise NotMeasuredError("no engine answers")

    given_fact("number", absent)
    given_fact("double", lambda number: number * 2, needs="number")
    given_check("one", judge_number, "double")

    assert rows()["one"].outcome == "skipped"
    assert rows()["one"].detail == "no engine answers"
    assert set(rows()) == {"one"}


def test_crashing_fact_is_one_finding_and_skips_what_needs_it() -> None:
    def broken() -> int:
        raise ZeroDivisionError("by zero")

    given_fact("number", broken)
    given_check("one", judge_number, "number")
    given_check("two", judge_number, "number")

    found = rows()

    assert found["fact-number"].outcome == "crashed"
    assert "ZeroDivisionError" in found["fact-number"].detail
    assert {found["one"].outcome, found["two"].outcome} == {"skipped"}


def test_crashing_judgement_is_a_finding() -> None:
    def broken(number: int) -> Iterator[Verdict]:
        yield ok(str(number // 0))

    given_fact("number", lambda: 1)
    given_check("one", broken, "number")
    given_check("two", judge_number, "number")

    assert [row.outcome for row in rows().values()] == ["crashed", "ok"]


def test_fact_that_takes_too_long_is_given_up() -> None:
    forever = threading.Event()
    given_fact("number", lambda: forever.wait(30), limit=0.1)
    given_check("one", judge_number, "number")

    begin = time.monotonic()
    found = rows()
    forever.set()

    assert time.monotonic() - begin < 5
    assert found["one"].outcome == "skipped"
    assert found["fact-number"].detail.endswith("it took longer than 0.1 s")
    assert found["fact-number"].outcome == "warn"


def test_task_refuses_what_was_not_found_out_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Doctor warns of it; a task cannot know whether its check would hold."""
    forever = threading.Event()
    given_fact("number", lambda: forever.wait(30), limit=0.1)
    given_check("one", judge_number, "number")
    monkeypatch.setattr(requirements, "registered", lambda: CHECKS)
    stack: Any = SimpleNamespace(known=None)

    with pytest.raises(ConfigurationError, match=r"longer than 0\.6 s"):
        requirements.require(stack, ["one"])
    forever.set()


def test_row_has_its_worst_outcome_and_that_repair() -> None:
    row = Row("a", "t", (ok("fine"), warn("hm", "do this"), fail("bad", "do that")))

    assert (row.outcome, row.detail, row.repair) == (
        "fail",
        "bad (and 1 more)",
        "do that",
    )


def test_finding_is_the_same_while_only_figures_change() -> None:
    """What was accepted stays accepted; another fault of the same check is new."""
    before = Row("disk", "t", (warn("9 GiB free", about="disk /"),))
    after = Row("disk", "t", (warn("8 GiB free", about="disk /"),))
    other = Row("disk", "t", (warn("8 GiB free", about="disk /data"),))

    assert before.finding == after.finding != other.finding


def test_repair_is_read_back_by_a_shell() -> None:
    assert command("chmod", "600", "my file") == "chmod 600 'my file'"
