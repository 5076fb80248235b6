"""
The health check of a container, run by the update itself.

The engine runs it every `interval`, often 30 seconds; a verdict on a new version should
not have to wait for that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from compose_ops.docker.api import Container, Engine

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


def run(engine: Engine, container: str, check: HealthCommand) -> str:
    """Run the command in *container*; return why it failed, "" when it passed."""
    output = engine.execute(container, check.command, timeout=check.timeout)
    if output.code == 0:
        return ""
    if output.code == TIMED_OUT:
        return f"no result within {check.timeout:.0f} s"
    printed = (output.stdout + output.stderr).strip()[-SHOWN_OUTPUT:]
    return f"exit code {output.code}" + (f", {printed}" if printed else "")
