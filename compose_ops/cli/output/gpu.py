"""What `gpu-check` prints, and when it fails."""

from collections.abc import Sequence

from compose_ops.console import show
from compose_ops.errors import FindingsFound
from compose_ops.verdicts import Row


def print_rows(rows: Sequence[Row]) -> None:
    """Print the checks that ran, and the repair of the one that failed."""
    for row in rows:
        if row.outcome != "skipped":
            show(f"{row.outcome:<7} {row.id}: {row.detail}")
        if row.repair:
            show(f"        repair: {row.repair}")


def refuse(rows: Sequence[Row]) -> None:
    """Raise FindingsFound for the check that failed."""
    for row in rows:
        if row.outcome in {"fail", "crashed"}:
            raise FindingsFound(row.detail, hint=row.repair)
