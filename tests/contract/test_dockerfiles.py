"""The project's Dockerfiles keep the guide's instructions, in the guide's order."""

import pytest
from guide_blocks import Setting
from guide_coverage import load_table
from plain_files import dockerfile_pairs
from repository import ROOT

DOCKERFILES = [
    "docker/services/app/Dockerfile",
    "docker/services/memgraph/Dockerfile",
    "docker/services/ray/Dockerfile",
]


def rows(file: str) -> list[Setting]:
    """Return the guide's instructions of *file*, without those it only repeats."""
    return [
        row
        for row in load_table()
        if row.file == file and row.section != "Security Best Practices"
    ]


@pytest.mark.parametrize("file", DOCKERFILES)
def test_kept_instructions_stand_in_the_guides_order(file: str) -> None:
    """What is kept word for word is built in the same sequence, stage by stage."""
    here = dockerfile_pairs((ROOT / file).read_text())
    kept = [row.key for row in rows(file) if row.key in here]

    assert len(kept) > len(rows(file)) / 2
    assert kept == [pair for pair in here if pair in kept]


def test_arguments_choose_the_guides_bases_by_default() -> None:
    """A build without any argument starts from the images that the guide names."""
    for file in DOCKERFILES:
        pairs = dockerfile_pairs((ROOT / file).read_text())
        bases = {text.split()[0] for path, text in pairs if path.endswith("/FROM")}
        wanted = {row.text.split()[0] for row in rows(file) if "/FROM[" in row.path}
        assert wanted
        assert wanted <= bases


def test_defaults_are_filled_in_where_a_base_is_chosen() -> None:
    """An ARG's default counts in FROM and is left alone everywhere else."""
    text = 'ARG TAG="1"\nFROM base:${TAG} AS builder\nRUN echo ${TAG}\nFROM base:$TAG\n'

    assert dockerfile_pairs(text) == [
        ("runtime/ARG", 'TAG="1"'),
        ("builder/FROM", "base:1 AS builder"),
        ("builder/RUN", "echo ${TAG}"),
        ("runtime/FROM", "base:1"),
    ]
