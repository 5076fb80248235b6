"""Faults planted in well-known projects are found, each by its rule."""

from pathlib import Path

import pytest
from lint_cases import HERE, folder_case
from lint_record import docker
from planted import BY_A_USER, BY_KIND, PLANTED

from compose_ops.lint import check_all
from compose_ops.lint.loader import subjects

pytestmark = pytest.mark.compose


@pytest.mark.parametrize(
    ("shape", "file", "old", "new", "rule"), PLANTED, ids=lambda value: value[:24]
)
def test_planted_fault_is_found(  # noqa: PLR0917 - a table
    shape: str, file: str, old: str, new: str, rule: str, tmp_path: Path
) -> None:
    """The rule says something that it did not say before."""
    case = folder_case(HERE / "shapes" / shape)
    combinations = case.write(tmp_path)

    def found() -> set[tuple[str, str]]:
        targets = subjects(combinations, root=tmp_path, docker=docker)
        return {(f.severity, f.message) for f in check_all(targets, [rule])}

    before = found()
    plant(tmp_path / file, old, new)

    assert found() - before


def plant(path: Path, old: str, new: str) -> None:
    if not old:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(new, encoding="utf-8")
        return
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_there_are_forty_faults_of_each_kind_in_ten_shapes() -> None:
    for planted in (BY_KIND, BY_A_USER):
        assert len(planted) >= 40
    assert len({shape for shape, *_ in PLANTED}) >= 10
