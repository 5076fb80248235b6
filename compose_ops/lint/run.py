"""
Judge a project's compose files by the rules.

Every combination that a task can select is merged by Compose and judged; a fault that
several show is named once. Only reads; images are asked when they are here already.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from compose_ops.console import show
from compose_ops.docker.api import Engine
from compose_ops.errors import EngineUnavailable, FindingsFound, UsageError
from compose_ops.lint import Finding, all_rules, check_all, unaccepted
from compose_ops.lint.image_probe import ask_images
from compose_ops.lint.loader import Combination, subjects

FAILING = frozenset({"error", "warning"})


def judge(
    engine: Engine,
    combinations: Sequence[Combination],
    *,
    root: Path,
    env_files: Sequence[Path] = (),
    only: Collection[str] = (),
    ask: bool = True,
) -> tuple[Finding, ...]:
    """
    Return the findings of the combinations of a project's files.

    *root* is Compose's project directory; *only* are rule ids, empty for all; *ask*
    lets local images say what they hold, where an engine answers. Raises UsageError for
    an unknown rule, ConfigurationError for a file that cannot be read,
    EngineUnavailable without a docker client with Compose.
    """
    check_rules(only)
    made = subjects(combinations, root=root, docker=engine.docker, env_files=env_files)
    if ask and ("missing-binary" in only or not only):
        with suppress(EngineUnavailable):
            made = ask_images(made, engine)
    return check_all(made, only or None)


def check_rules(only: Collection[str]) -> None:
    """Raise UsageError for an id that no rule has."""
    for name in only:
        if name not in all_rules():
            raise UsageError(
                f"there is no rule {name!r}", hint="docs/rules.md lists the rules"
            )


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return findings as the task's JSON object; accepted ones stand apart."""
    accepted = [one.as_json() for one in findings if one.accepted]
    return {
        "findings": [one.as_json() for one in unaccepted(findings)],
        "accepted": accepted,
    }


def print_findings(findings: Sequence[Finding]) -> None:
    """Print each finding with its place and repair, and a count."""
    for one in unaccepted(findings):
        show(f"{one.file}:{one.line}: {one.severity}: {one.message} [{one.rule}]")
        show(f"    {one.repair}")
    open_ones = unaccepted(findings)
    show(
        f"{len(all_rules())} rules, {len(open_ones)} findings, "
        f"{len(findings) - len(open_ones)} accepted in place"
    )


def refuse(findings: Sequence[Finding]) -> None:
    """Raise FindingsFound when an error or a warning is not accepted."""
    failing = [one for one in unaccepted(findings) if one.severity in FAILING]
    if failing:
        raise FindingsFound(
            f"{len(failing)} findings that nobody accepted",
            hint="docs/rules.md says why and how to accept one in place",
        )
