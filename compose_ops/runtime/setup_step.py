"""One step of `init`."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SetupStep:
    """One thing that is missing, and what makes it."""

    what: str
    act: Callable[[], object]
