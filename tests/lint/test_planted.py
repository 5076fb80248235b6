"""Faults planted in well-known projects are found, each by its rule."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from lint_cases import HERE, folder_case
from lint_record import docker
from planted import BY_A_USER, BY_KIND, PLANTED

from compose_ops.lint import check_all
from compose_ops.lint.loader import Combination, subjects

pytestmark = pytest.mark.compose


@pytest.mark.parametrize(
    ("shape", "file", "old", "new", "rule"), PLANTED, ids=lambda value: value[:24]
)
def test_planted_fault_is_found(  # noqa: PLR0917 - a table
    shape: str, file: str, old: str, new: str, rule: str, tmp_path: Path
) -> None:
    """The rule says something that it did not say before."""
    combinations = folder_case(HERE / "shapes" / shape).write(tmp_path)
    plant(tmp_path / file, old, new)

    assert {f for f in found(combinations, tmp_path) if f[0] == rule} - before(shape)


def found(combinations: list[Combination], root: Path) -> set[tuple[str, str, str]]:
    """Return rule, severity and message of every finding."""
    targets = subjects(combinations, root=root, docker=docker)
    return {(f.rule, f.severity, f.message) for f in check_all(targets)}


@cache
def before(shape: str) -> set[tuple[str, str, str]]:
    """Return what is found in a shape as it is."""
    with TemporaryDirectory() as scratch:
        root = Path(scratch)
        return found(folder_case(HERE / "shapes" / shape).write(root), root)


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
