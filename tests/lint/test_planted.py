"""Faults planted in well-known projects are found, each by its rule."""

from pathlib import Path

import pytest
from lint_cases import HERE, folder_case
from lint_record import docker
from planted import PLANTED

from compose_ops.lint import check_all
from compose_ops.lint.loader import subjects

pytestmark = pytest.mark.compose


@pytest.mark.parametrize(
    ("shape", "file", "old", "new", "rule"), PLANTED, ids=lambda value: value[:24]
)
def test_planted_fault_is_found(  # noqa: PLR0917 - a table
    shape: str, file: str, old: str, new: str, rule: str, tmp_path: Path
) -> None:
    """The rule names the planted fault, and named less of it before."""
    case = folder_case(HERE / "shapes" / shape)
    combinations = case.write(tmp_path)
    path = tmp_path / file
    text = path.read_text(encoding="utf-8")
    assert old in text

    def found() -> int:
        targets = subjects(
            combinations,
            root=tmp_path,
            docker=docker,
        )
        return sum(one.rule == rule for one in check_all(targets))

    before = found()
    path.write_text(text.replace(old, new, 1), encoding="utf-8")

    assert found() > before


def test_there_are_forty_faults_in_ten_shapes() -> None:
    assert len(PLANTED) >= 40
    assert len({shape for shape, *_ in PLANTED}) >= 10
