"""A task: errors are a few lines and an exit code, JSON is one object on stdout."""

import sys
from typing import Any

from invoke.exceptions import Exit, Failure, ParseError, UnexpectedExit
from invoke.parser.argument import Argument
from invoke.tasks import Task

from compose_ops import console, interrupts, redaction
from compose_ops.cli import arguments
from compose_ops.errors import ComposeOpsError, OutputError, UsageError
from compose_ops.library.faults import described

# invoke turns it off; every task would then compile all modules again (1 s).
sys.dont_write_bytecode = False


def _ended(error: ComposeOpsError) -> Exit:
    """Print an error, best effort, and return what ends the program with its code."""
    console.say(str(error))
    return Exit(code=error.exit_code)


def whole_number(text: str) -> int:
    """Return *text* as a number of 0 or more; Exit 2 when it is none."""
    try:
        return arguments.whole_number(text)
    except UsageError as wrong:
        raise Exit(str(wrong), code=wrong.exit_code) from wrong


whole_number.__name__ = "int"


class ComposeTask(Task[Any]):
    """A task that reports an error as a few lines and an exit code."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        console.attach()
        try:
            with interrupts.handled():
                arguments.check(kwargs)
                result = super().__call__(*args, **kwargs)
            console.require_output()
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
        return result

    def get_arguments(
        self,
        ignore_unknown_help: bool | None = None,  # noqa: FBT001 - invoke's signature
    ) -> list[Argument]:
        """Make a repeatable flag want its value, and a number be one."""
        texts = dict(self.help)  # invoke takes out what it has used
        found = super().get_arguments(ignore_unknown_help)
        self.help = texts
        for argument in found:
            if argument.kind is list:
                argument.raw_value = None
            elif argument.kind is int:
                argument.kind = whole_number
        return found


def emit(value: Any) -> None:
    """Print *value* as the one JSON object of a task."""
    console.write_json(redaction.json_text(value) + "\n")
