"""Small files, each with exactly the findings that its marks expect."""

from pathlib import Path

import pytest
from lint_cases import HERE, Case, folder_cases, recorded_subjects

from compose_ops.lint import all_rules, check_all, unaccepted

CORPUS = folder_cases("corpus")


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_findings_are_exactly_the_expected(case: Case, tmp_path: Path) -> None:
    """All rules together find what is marked, at its line, and nothing else."""
    findings = unaccepted(check_all(recorded_subjects(case, tmp_path)))

    assert {(f.file, f.line, f.rule) for f in findings} == case.expected()


def test_corpus_is_large_enough() -> None:
    """There are at least 60 compose files and Dockerfiles."""
    files = [*(HERE / "corpus").rglob("*.yml"), *(HERE / "corpus").rglob("Dockerfile*")]

    assert len(files) >= 60


def test_corpus_covers_every_rule() -> None:
    """Each rule is expected somewhere in the corpus."""
    expected = {rule for case in CORPUS for _, _, rule in case.expected()}

    assert expected == set(all_rules())
