"""Compose files in the shape of well-known projects raise no false alarm."""

from pathlib import Path

import pytest
from lint_cases import Case, folder_cases, recorded_subjects

from compose_ops.lint import check_all

SHAPES = folder_cases("shapes")
OPEN_STORE = {"port-on-all-interfaces", "well-known-password"}


@pytest.mark.parametrize("case", SHAPES, ids=lambda case: case.name)
def test_shape_has_no_error(case: Case, tmp_path: Path) -> None:
    """A project that runs gives no error, but for a database open to everybody."""
    subjects = recorded_subjects(case, tmp_path)
    errors = [
        f
        for f in check_all(subjects)
        if f.severity == "error" and f.rule not in OPEN_STORE
    ]

    assert subjects[0].services
    assert errors == []


def test_there_are_enough_shapes() -> None:
    """At least ten shapes are there."""
    assert len(SHAPES) >= 10
