"""What a user is told of an exception that no operation raised on purpose."""

import errno
import os
import shlex
import traceback
from pathlib import Path

from compose_ops.errors import (
    ComposeOpsError,
    ConfigurationError,
    DataError,
    Interrupted,
)
from compose_ops.project.compat import old_name
from compose_ops.project.paths import OWN_STATE, STATE

DEBUG = "COMPOSE_OPS_DEBUG"
STATES = (STATE, old_name("state", "folder"))
DISK_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG}


def described(error: BaseException) -> ComposeOpsError:
    """Return what a user is told of an exception that ended a task."""
    if isinstance(error, ComposeOpsError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("interrupted", hint="the same command carries on")
    if isinstance(error, PermissionError) and error.filename:
        return _closed(str(error.filename), error.strerror)
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


def _closed(path: str, why: str | None) -> ConfigurationError:
    """Return the error for a path that this user may not use; the state is a task's."""
    state = next((name for name in STATES if name in Path(path).parts), "")
    own = f"if a task of root's made it: {OWN_STATE.replace(STATE, state)}"
    look = f"whose it is: ls -ld {shlex.quote(path)}"
    return ConfigurationError(
        f"{path} is closed to this user: {why or 'denied'}", hint=own if state else look
    )
