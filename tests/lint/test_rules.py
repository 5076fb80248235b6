"""Each rule's own example: the failing half is found where it says, the other not."""

from pathlib import Path

import pytest
from lint_cases import Case, example_cases, recorded_subjects
from repository import ROOT

from compose_ops.lint import all_rules, check_all
from compose_ops.lint.reference import EXAMPLES, PAGE, page

CASES = {name: (failing, passing) for name, failing, passing in example_cases()}
ONLY_ACCEPTED = "accepted-nothing"


def found(name: str, case: Case, folder: Path) -> set[tuple[str, int, str]]:
    only = None if name == ONLY_ACCEPTED else {name}
    findings = check_all(recorded_subjects(case, folder), only)
    return {(f.file, f.line, f.rule) for f in findings if f.rule == name}


@pytest.mark.parametrize("name", CASES)
def test_failing_example_is_found_where_it_says(name: str, tmp_path: Path) -> None:
    """A rule finds the fault of its failing example, at its line, and nothing else."""
    case = CASES[name][0]

    assert found(name, case, tmp_path) == case.expected() != set()


@pytest.mark.parametrize("name", CASES)
def test_passing_example_passes(name: str, tmp_path: Path) -> None:
    """A rule finds nothing in its passing example."""
    assert found(name, CASES[name][1], tmp_path) == set()


def test_every_rule_has_an_example() -> None:
    """Each rule has an example, and each example a rule."""
    assert {path.stem for path in EXAMPLES.glob("*.txt")} == set(all_rules())


@pytest.mark.parametrize("rule", all_rules().values(), ids=lambda rule: rule.id)
def test_rule_says_what_a_reader_needs(rule: object) -> None:
    """Summary, why, source and repair are sentences, not blanks."""
    texts = [getattr(rule, key) for key in ("summary", "why", "source", "repair")]

    assert all(len(text) > 10 for text in texts)


def test_page_on_the_rules_is_current() -> None:
    """docs/rules.md is what the rules make of it."""
    text = (ROOT / PAGE).read_text(encoding="utf-8")

    assert text == page(), "run python -m compose_ops.lint.reference"
