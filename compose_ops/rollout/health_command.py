"""
The health check of a container, run by the update itself.

The engine runs it every `interval`, often 30 seconds; a verdict on a new version should
not have to wait for that.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from compose_ops.docker.api import Container, Engine
from compose_ops.redaction import clean
from compose_ops.rollout import background

NANOSECONDS = 1_000_000_000
DEFAULT_TIMEOUT = 30.0
DEFAULT_SHELL = ("/bin/sh", "-c")
TIMED_OUT = 124
SHOWN_OUTPUT = 200


@dataclass(frozen=True, slots=True)
class HealthCommand:
    """What the engine would run in the container; the timeout is in seconds."""

    command: Sequence[str]
    timeout: float


def of(container: Container) -> HealthCommand | None:
    """
    Return the command of the container's health check, None where it has none.

    >>> of(container).command  # test: ["CMD-SHELL", "curl -f localhost"]
    ('/bin/sh', '-c', 'curl -f localhost')
    """
    config = container.raw.get("Config") or {}
    check = config.get("Healthcheck") or {}
    kind, *words = check.get("Test") or ["NONE"]
    timeout = int(check.get("Timeout") or 0) / NANOSECONDS or DEFAULT_TIMEOUT
    if kind == "CMD":
        return HealthCommand(tuple(words), timeout)
    if kind == "CMD-SHELL":
        shell = config.get("Shell") or DEFAULT_SHELL
        return HealthCommand((*shell, *words), timeout)
    return None


@dataclass(slots=True)
class HealthChecks:
    """The health checks of containers, each begun when the one before has ended."""

    engine: Engine
    _running: "dict[str, Future[str]]" = field(default_factory=dict)

    def result(self, container: Container) -> str | None:
        """
        Return why the check that ended last failed, "" when it passed; begin the next.

        None while none has ended, and for a container without a health check.
        """
        check = of(container)
        running = self._running.get(container.id)
        if check is None or (running and not running.done()):
            return None
        engine, reference = self.engine, container.id
        self._running[reference] = background.begin(
            lambda: run(engine, reference, check)
        )
        return running.result() if running else None


def run(engine: Engine, container: str, check: HealthCommand) -> str:
    """Run the command in *container*; return why it failed, "" when it passed."""
    output = engine.execute(container, check.command, timeout=check.timeout)
    if output.code == 0:
        return ""
    if output.code == TIMED_OUT:
        return f"no result within {check.timeout:.0f} s"
    printed = clean(output.stdout + output.stderr).strip()[-SHOWN_OUTPUT:]
    return f"exit code {output.code}" + (f", {printed}" if printed else "")
