"""A folder for files that end with this process."""

import atexit
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

PREFIX = "compose-ops-"
"""How the folder's name begins."""


@cache
def folder() -> Path:
    """Return a folder that is removed when this process ends."""
    made = TemporaryDirectory(prefix=PREFIX)
    atexit.register(made.cleanup)
    return Path(made.name)
