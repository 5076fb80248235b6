"""The project keeps its own rules in every combination of compose files."""

import pytest
from project_models import own_subjects

from compose_ops.lint import check_all, unaccepted
from compose_ops.lint.suppressions import acceptances

pytestmark = pytest.mark.compose


def test_no_combination_has_an_unaccepted_finding() -> None:
    """Every combination that a task can select is free of findings."""
    findings = unaccepted(check_all(list(own_subjects().values())))

    assert [f"{f.file}:{f.line} {f.rule}: {f.message}" for f in findings] == []


def test_at_most_fifteen_findings_are_accepted() -> None:
    """What is accepted in place stays countable."""
    stated = {one.place for s in own_subjects().values() for one in acceptances(s)}

    assert 0 < len(stated) <= 15


def test_every_combination_has_a_model() -> None:
    """Compose gives a model of each combination, so that the rules see services."""
    empty = [s.name for s in own_subjects().values() if not s.services]

    assert empty == ["all files"]
