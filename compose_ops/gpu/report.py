"""What `invoke gpu-check` finds and prints."""

from collections.abc import Sequence
from typing import Any

from compose_ops.console import show
from compose_ops.errors import FindingsFound
from compose_ops.gpu import sequence
from compose_ops.gpu.collect import Collector
from compose_ops.runtime.context import StackContext
from compose_ops.verdicts import Row


def check(
    stack: StackContext, service: str, *, require: bool = False
) -> tuple[Row, ...]:
    """
    Climb the ladder for a service; UsageError for one that is not in the model.

    *require* makes a machine without a GPU a failure.
    """
    stack.model.service(service)
    return sequence.climb(Collector(stack, service), require=require)


def as_json(rows: Sequence[Row], service: str) -> dict[str, Any]:
    """Return {"service", "checks": [...]}, one entry per rung in order."""
    return {"service": service, "checks": [row.as_json() for row in rows]}


def print_rows(rows: Sequence[Row]) -> None:
    """Print the rungs that were reached, and the repair of the one that failed."""
    for row in rows:
        if row.outcome != "skipped":
            show(f"{row.outcome:<7} {row.id}: {row.detail}")
        if row.repair:
            show(f"        repair: {row.repair}")


def refuse(rows: Sequence[Row]) -> None:
    """Raise FindingsFound for the rung that failed."""
    for row in rows:
        if row.outcome in {"fail", "crashed"}:
            raise FindingsFound(row.detail, hint=row.repair)
