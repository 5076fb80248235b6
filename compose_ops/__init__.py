"""
Operate a Docker Compose project: as tasks, and from Python.

    from compose_ops import Stack

    stack = Stack.open("/srv/shop")
    stack.up()

`compose_ops.errors` has every error, `compose_ops.tasks` the tasks for invoke.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compose_ops.config import Config
    from compose_ops.library.stack import Stack

__all__ = ["Config", "Stack", "__version__"]

__version__ = "0.2.0"

_HOMES = {"Config": "compose_ops.config", "Stack": "compose_ops.library.stack"}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for, so that the tasks list fast."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
