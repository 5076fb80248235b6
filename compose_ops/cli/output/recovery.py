"""What `recover` prints."""

from collections.abc import Sequence
from typing import Any

from compose_ops.console import show
from compose_ops.state.recovery import Unfinished


def as_json(found: Sequence[Unfinished]) -> dict[str, Any]:
    """Return {"recovered": [{"task", "step", "age"}]}; ages are in seconds."""
    return {
        "recovered": [
            {"task": task.kind, "step": task.step, "age": round(task.age)}
            for task in found
        ]
    }


def print_recovered(found: Sequence[Unfinished]) -> None:
    """Print one line for each task that was put right; nothing where all had ended."""
    for task in found:
        show(f"recovered: {task.kind}, interrupted at the step '{task.step}'")
