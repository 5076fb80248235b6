"""What makes a function a task: flags, help, errors as exit codes, JSON on stdout."""

import errno
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import wraps
from typing import Any, overload

from invoke.context import Context
from invoke.exceptions import Exit, Failure, ParseError, UnexpectedExit
from invoke.parser.argument import Argument
from invoke.tasks import Task
from invoke.tasks import task as invoke_task

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

Body = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Selection:
    """The flags that select a mode; a task that takes one gets them all."""

    dev: bool = False
    prod: bool = False
    offline: bool = False
    gpu: str = "auto"
    overlay: list[str] | None = None


HELP = {
    "service": "Only this service; repeatable.",
    "dev": "With docker-compose.dev.yml.",
    "prod": "With docker-compose.prod.yml.",
    "offline": "Stand-ins and local bases; needs no image registry.",
    "gpu": "auto (what the engine offers), on or off. Default: auto.",
    "overlay": "Also docker/overlays/NAME.yml; repeatable.",
    "build": "Build images first, also those that are there.",
    "timeout": "Seconds to wait for health. Default: as long as the checks may take.",
    "json": "One JSON object on stdout and nothing else.",
    "yes": "Do not ask.",
}

# invoke turns it off; every task would then compile all modules again (1 s).
sys.dont_write_bytecode = False

REPEATABLE = list[str] | None


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


@overload
def task(function: Body, /) -> ComposeTask: ...


@overload
def task(**help_texts: str) -> Callable[[Body], ComposeTask]: ...


def task(
    function: Body | None = None, /, **help_texts: str
) -> ComposeTask | Callable[[Body], ComposeTask]:
    """
    Make *function* a task; *help_texts* add to or replace `HELP`.

    A parameter of the type `list[str] | None` is repeatable on the command line, and
    one of the type `Selection` stands for the flags that select a mode.
    """

    def make(body: Body) -> ComposeTask:
        body = _with_selection(body)
        signature = inspect.signature(body).parameters
        parameters = list(signature)[1:]
        known = {name: HELP[name] for name in parameters if name in HELP}
        made: ComposeTask = invoke_task(
            klass=ComposeTask,
            auto_shortflags=False,
            iterable=[n for n in parameters if signature[n].annotation == REPEATABLE],
            help=known | help_texts,
        )(body)
        return made

    return make(function) if function is not None else make


def _with_selection(body: Body) -> Body:
    """Spread the parameter of the type `Selection` into one flag for each field."""
    signature = inspect.signature(body)
    taken = [p for p in signature.parameters.values() if p.annotation is Selection]
    if not taken:
        return body
    names = [field.name for field in fields(Selection)]

    @wraps(body)
    def spread(context: Context, **flags: Any) -> Any:
        chosen = {name: flags.pop(name) for name in names if name in flags}
        return body(context, **{taken[0].name: Selection(**chosen)}, **flags)

    others = [p for p in signature.parameters.values() if p is not taken[0]]
    flags = inspect.signature(Selection).parameters.values()
    own = [flag.replace(kind=inspect.Parameter.KEYWORD_ONLY) for flag in flags]
    # json comes last in every task's help.
    last = [p for p in others if p.name == "json"]
    first = [p for p in others if p.name != "json"]
    spread.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*first, *own, *last]
    )
    return spread


def emit(value: Any) -> None:
    """Print *value* as the one JSON object of a task."""
    console.show(json.dumps(value, indent=2, default=str))


def stack(
    context: Context,
    selection: Selection | None = None,
    *,
    need_engine: bool = True,
    read_only: bool = False,
) -> Any:
    """Open the stack that the flags name; `--dry` and `--echo` come from invoke."""
    from compose_ops.composition import OPERATIONS
    from compose_ops.runtime.context import open_stack

    chosen = asdict(selection or Selection())
    return open_stack(
        OPERATIONS,
        **chosen | {"overlay": chosen["overlay"] or ()},
        need_engine=need_engine,
        read_only=read_only,
        dry=bool(context.config.run.dry),
        echo=bool(context.config.run.echo),
    )
