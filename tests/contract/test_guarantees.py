"""The page of guarantees names tests that are there."""

import re

from repository import ROOT

PAGE = (ROOT / "docs/guarantees.md").read_text()


def test_every_promise_names_tests_that_are_there() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")][1:]
    named = {row: re.findall(r"`(test_\w+)`", row) for row in rows}
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }

    assert len(rows) > 10
    assert [row for row, tests in named.items() if not tests] == []
    assert {name for tests in named.values() for name in tests} - there == set()
