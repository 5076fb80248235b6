"""A task: errors are a few lines and an exit code, JSON is one object on stdout."""

import errno
import json
import os
import sys
import traceback
from typing import Any

from invoke.exceptions import Exit, Failure, ParseError, UnexpectedExit
from invoke.parser.argument import Argument
from invoke.tasks import Task

from compose_ops import console, interrupts
from compose_ops.errors import (
    ComposeOpsError,
    ConfigurationError,
    DataError,
    Interrupted,
    OutputError,
    UsageError,
)
from compose_ops.project.paths import OWN_STATE

# invoke turns it off; every task would then compile all modules again (1 s).
sys.dont_write_bytecode = False


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


def _ended(error: ComposeOpsError) -> Exit:
    """Print an error, best effort, and return what ends the program with its code."""
    console.say(str(error))
    return Exit(code=error.exit_code)


def whole_number(text: str) -> int:
    """Return *text* as a number of 0 or more; Exit 2 when it is none."""
    if text.isascii() and text.isdigit():
        return int(text)
    wrong = UsageError(
        f"{text!r} is not a whole number", hint="give digits only, such as 60"
    )
    raise Exit(str(wrong), code=wrong.exit_code)


whole_number.__name__ = "int"


class ComposeTask(Task[Any]):
    """A task that reports an error as a few lines and an exit code."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        console.attach()
        try:
            with interrupts.handled():
                return super().__call__(*args, **kwargs)
        except console.OutputLostError as lost:
            # All that was to be done is done: only its report found no reader.
            if not kwargs.get("json"):
                return None
            raise _ended(
                OutputError("the result could not be written", detail=str(lost))
            ) from lost
        except (Exit, Failure, UnexpectedExit, ParseError):
            raise
        except (Exception, KeyboardInterrupt) as error:
            raise _ended(described(error)) from error

    def get_arguments(
        self,
        ignore_unknown_help: bool | None = None,  # noqa: FBT001 - invoke's signature
    ) -> list[Argument]:
        """Make a repeatable flag want its value, and a number be one."""
        arguments = super().get_arguments(ignore_unknown_help)
        for argument in arguments:
            if argument.kind is list:
                argument.raw_value = None
            elif argument.kind is int:
                argument.kind = whole_number
        return arguments


def emit(value: Any) -> None:
    """Print *value* as the one JSON object of a task."""
    console.show(json.dumps(value, indent=2, default=str), verbatim=True)
