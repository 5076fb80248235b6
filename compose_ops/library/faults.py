"""What a user is told of an exception that no operation raised on purpose."""

import errno
import os
import traceback

from compose_ops.errors import (
    ComposeOpsError,
    ConfigurationError,
    DataError,
    Interrupted,
)
from compose_ops.project.paths import OWN_STATE

DEBUG = "COMPOSE_OPS_DEBUG"
DISK_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG}


def described(error: BaseException) -> ComposeOpsError:
    """Return what a user is told of an exception that ended a task."""
    if isinstance(error, ComposeOpsError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("interrupted", hint="the same command carries on")
    if isinstance(error, PermissionError) and error.filename:
        return ConfigurationError(
            f"{error.filename} is closed to this user: {error.strerror}",
            hint=f"if a task of root's made it: {OWN_STATE}",
        )
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        kind = DataError if error.errno in DISK_FAULTS else ConfigurationError
        return kind(f"{place}{error.strerror}", hint="mend that, then run this again")
    lines = traceback.format_exception(error) if os.environ.get(DEBUG) else []
    return ComposeOpsError(
        f"unexpected {type(error).__name__}: {error}",
        hint=f"this is a fault of compose-ops: {DEBUG}=1 shows where, please report it",
        detail="".join(lines).rstrip(),
    )
