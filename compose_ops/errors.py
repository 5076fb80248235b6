"""
Every way in which a task can end badly, and its exit code.

    ComposeOpsError (1)
    ├── OutputError (1)           a result in JSON that could not be written
    ├── UsageError (2)            a bad combination of flags, an unknown service
    ├── ConfigurationError (3)    .env, secrets, compose files
    ├── EngineError (4)           Docker refused
    │   └── EngineUnavailable (5) no client, no daemon, no permission
    ├── UnhealthyError (6)        a service is not healthy
    ├── DataError (7)             a volume, an archive or a backup set
    ├── RolledBack (8)            an update failed and was undone
    ├── Locked (9)                another task is at work
    ├── WarningsFound (10)        only with --strict
    ├── FindingsFound (11)        doctor or lint found failures
    └── Interrupted (130)         Ctrl-C

Codes 1 and 2 are shared with invoke, which uses them for words that it cannot parse.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from compose_ops.redaction import clean

START_ENGINE = "sudo systemctl start docker"
"""What a message tells to type where no engine answers; a project may name its own."""


class ComposeOpsError(Exception):
    """What happened (one line), what to do next (one line), and any detail below."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail
        self.outcome: object = None

    def __str__(self) -> str:
        parts = [f"error: {self.message}"]
        if self.detail:
            parts.append(self.detail)
        if self.hint:
            parts.append(f"hint: {self.hint}")
        return clean("\n".join(parts))


class UsageError(ComposeOpsError):
    exit_code = 2


class ConfigurationError(ComposeOpsError):
    exit_code = 3


class EngineError(ComposeOpsError):
    """Docker refused; *detail* holds its own words."""

    exit_code = 4


class EngineUnavailable(EngineError):  # noqa: N818 - names a state, as the tree says
    exit_code = 5


class UnhealthyError(ComposeOpsError):
    exit_code = 6


class DataError(ComposeOpsError):
    exit_code = 7


class RolledBack(ComposeOpsError):  # noqa: N818 - names an outcome
    exit_code = 8


class Locked(ComposeOpsError):  # noqa: N818 - names a state
    exit_code = 9


class WarningsFound(ComposeOpsError):  # noqa: N818 - names an outcome
    exit_code = 10


class FindingsFound(ComposeOpsError):  # noqa: N818 - names an outcome
    exit_code = 11


class OutputError(ComposeOpsError):
    """The work is done, but its result in JSON found no reader."""


class Interrupted(ComposeOpsError):  # noqa: N818 - names an outcome
    exit_code = 130


@contextmanager
def needs_extra(name: str) -> Iterator[None]:
    """
    Turn the lack of a package into a ConfigurationError that names the extra.

    >>> with needs_extra("encryption"):
    ...     import pyrage
    """
    try:
        yield
    except ImportError as missing:
        raise ConfigurationError(
            f"the package {missing.name} is not installed",
            hint=f"pip install 'compose-ops[{name}]'",
        ) from missing
