"""
Checks of the machine and the checkout: what `doctor` lists and what tasks require.

A check is a pure judgement of facts, which are collected separately. What follows from
the merged model alone is a rule of `compose_ops.lint`; one check here runs those rules.
"""

from collections.abc import Iterable, Sequence
from importlib import import_module

from compose_ops.doctor.examine import FACT_TOPIC, examine
from compose_ops.doctor.registry import CHECKS, Check
from compose_ops.errors import ConfigurationError, EngineUnavailable
from compose_ops.runtime.context import StackContext
from compose_ops.verdicts import ENGINE, Row

TOPICS = (
    "engine",
    "client",
    "capacity",
    "storage",
    "network",
    "shell",
    "settings",
    "secret_files",
    "certificates",
    "folders",
    "images",
    "containers",
    "state",
    "leftovers",
    "model_rules",
)
FACTS = (
    "engine",
    "client",
    "host",
    "disks",
    "network",
    "ports",
    "settings",
    "secret_files",
    "certificates",
    "folders",
    "project",
    "state",
    "leftovers",
    "findings",
)

VERSIONS = ("engine-answers", "engine-version", "compose-version")
"""What must hold before any request to the engine."""

NEEDED = frozenset({*VERSIONS, "model-valid"})
"""What cannot be accepted with a reason: no task can begin without it."""

FILES = (
    *VERSIONS,
    "model-valid",
    "env-file",
    "env-missing",
    "secret-present",
    "secret-readable",
    "certificate-present",
    "certificate-valid",
    "certificate-pair",
    "cpu-limits",
)
"""What the checkout must have before a container is created from it."""

UP = (
    *FILES,
    "ports-free",
    "bind-address",
    "subnets-free",
    "bind-folders",
    "bind-elsewhere",
    "key-private",
    "data-folders",
    "data-owners",
    "volume-definitions",
    "external-present",
    "images-obtainable",
)
"""What must hold before containers are created."""

ROLLOUT = (*FILES, "images-obtainable")
"""What must hold before an update replaces containers."""

RESTORE = (
    *VERSIONS,
    "model-valid",
    "secret-present",
    "secret-readable",
    "bind-folders",
    "bind-elsewhere",
    "bind-readable",
    "data-folders",
)
"""What must hold before data is replaced: stopped services must be able to start."""


PATIENCE = 6.0
"""Limits that a fact gets before a change: a busy engine is no fault of the stack."""


def registered() -> dict[str, Check]:
    """Return every check by id, in the order of `TOPICS`."""
    for name in FACTS:
        import_module(f"compose_ops.doctor.facts.{name}")
    for name in TOPICS:
        import_module(f"compose_ops.doctor.checks.{name}")
    # A module that was imported earlier registered its checks earlier.
    return dict(sorted(CHECKS.items(), key=lambda pair: TOPICS.index(pair[1].topic)))


def run(
    stack: StackContext,
    ids: Sequence[str] = (),
    *,
    services: Iterable[str] = (),
    skipped: Sequence[str] = (),
    patience: float = 1.0,
) -> tuple[Row, ...]:
    """
    Return the rows of *ids* (all when empty), for *services* (all when empty).

    A fact is waited for *patience* times its limit.
    """
    known = registered()
    given = {"stack": stack, "scope": tuple(services)}
    chosen = ids or tuple(known)
    return examine(chosen, given, skipped=skipped, patience=patience)


def require(
    stack: StackContext, ids: Sequence[str], *, services: Iterable[str] = ()
) -> None:
    """
    Return when no check of *ids* fails for *services*, except what was accepted.

    Raises one ConfigurationError that lists every failure with its repair; the
    EngineUnavailable behind it when the engine does not answer or is too old.
    """
    known = _accepted(stack)
    failed = [
        verdict
        for row in run(stack, ids, services=services, patience=PATIENCE)
        for verdict in row.problems
        if verdict.outcome != "warn" or row.topic == FACT_TOPIC
        if row.id in NEEDED or (row.id, verdict.key) not in known
    ]
    if not failed:
        return
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    lines = [f"  - {v.detail}\n    {v.repair}" for v in failed]
    kind = (
        EngineUnavailable if failed[0].about.startswith(ENGINE) else ConfigurationError
    )
    raise kind(
        f"{failed[0].detail}{more}",
        hint=failed[0].repair,
        detail="\n".join(lines) if more else "",
    )


TASKS = {"versions": VERSIONS, "up": UP, "rolling-update": ROLLOUT, "restore": RESTORE}


def require_for(
    stack: StackContext, task: str, *, services: Iterable[str] = ()
) -> None:
    """Return when no check that *task* requires fails; see `require`."""
    require(stack, TASKS[task], services=services)


def _accepted(stack: StackContext) -> set[tuple[str, str]]:
    if stack.known is None:
        return set()
    from compose_ops.doctor import baseline  # it needs the verdicts of this package

    return baseline.keys(stack.state)
