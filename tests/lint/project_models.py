"""The project's own subjects, merged by Compose once for all tests that ask."""

from functools import cache

from lint_record import docker
from repository import ENV_EXAMPLE, ROOT

from compose_ops.library.linting import combined
from compose_ops.library.opening import Selection, find
from compose_ops.lint import LintTarget
from compose_ops.lint.loader import Combination, subjects

COMBINATIONS = combined(find(Selection(ROOT)))
FEW = ("base", "dev", "prod", "base+multi-gpu", "prod+offline")


@cache
def own_subjects() -> dict[str, LintTarget]:
    """Return the subjects of every combination that a task can select, by name."""
    return {one.name: one for one in merged(COMBINATIONS)}


@cache
def few_subjects() -> dict[str, LintTarget]:
    """Return the subjects of some combinations, for faults put into one of them."""
    chosen = tuple(one for one in COMBINATIONS if one.name in FEW)
    return {one.name: one for one in merged(chosen)}


def merged(chosen: tuple[Combination, ...]) -> tuple[LintTarget, ...]:
    env_files = [ROOT / ENV_EXAMPLE]
    return subjects(
        chosen, root=ROOT, docker=docker, env_files=env_files, start_timeout=300.0
    )
