"""A key of `compose-ops.toml`: a field with its text for the reference page."""

from collections.abc import Mapping
from dataclasses import MISSING, field
from typing import Any


def key(
    text: str,
    default: Any = MISSING,
    *,
    choices: tuple[str, ...] = (),
    labels: Mapping[str, str] | None = None,
) -> Any:
    """
    Return a field of the schema: *text* is its line in the reference page.

    *labels* are the keys of each of its tables, with the label that each stands for.
    """
    metadata = {"text": text, "choices": choices, "labels": labels}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    if isinstance(default, type):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)
