"""A service's health check as the engine will run it, from Compose or the image."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from compose_ops.lint.dockerfile import Instruction, exec_form
from compose_ops.lint.finding import RawFinding
from compose_ops.lint.quantity import seconds
from compose_ops.lint.shell_programs import programs, programs_of_script, script_of
from compose_ops.lint.target import Service, words
from compose_ops.units import whole


@dataclass(frozen=True, slots=True)
class Check:
    """
    A health check: its command and its times in seconds.

    `argv` is what an exec form runs and empty for a shell form; `script` is the shell
    text that is run, empty for none; `unread` are words of a shell form behind that
    text, which the shell takes as its own arguments.
    """

    argv: tuple[str, ...]
    script: str
    times: Mapping[str, float]
    retries: int
    file: Instruction | None = None
    unread: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return self.script or " ".join(self.argv)

    @property
    def programs(self) -> list[str]:
        if self.argv:
            return programs(self.argv)
        return ["sh", *programs_of_script(self.script)]

    @property
    def first_verdict(self) -> float:
        """Seconds until a service that works is first called healthy."""
        quick = self.times["start_interval"]
        started = self.times["start_period"] > 0 and quick > 0
        return min(quick, self.times["interval"]) if started else self.times["interval"]

    @property
    def last_verdict(self) -> float:
        """Seconds until a service that hangs is called unhealthy."""
        return self.times["start_period"] + self.retries * (
            self.times["interval"] + self.times["timeout"]
        )

    @property
    def provable(self) -> float:
        """Seconds until a service that fails at once is called unhealthy."""
        return self.times["start_period"] + self.retries * self.times["interval"]


DEFAULTS = {
    "interval": 30.0,
    "timeout": 30.0,
    "start_period": 0.0,
    "start_interval": 0.0,
}


def check_of(service: Service) -> Check | None:
    """Return the health check whose command is known, None without one."""
    spec = service.get("healthcheck", default={})
    test = spec.get("test")
    if spec.get("disable") or test == ["NONE"]:
        return None
    instruction = None
    if not test:
        instruction = next(
            (i for s in service.stages if (i := s.last("HEALTHCHECK"))), None
        )
        if instruction is None or not instruction.text.upper().startswith("CMD"):
            return None
        spec = {**from_flags(instruction), **spec}
        test = image_test(instruction)
    argv, script = parts(test)
    times = {key: seconds(spec.get(key), default) for key, default in DEFAULTS.items()}
    retries = whole(str(spec.get("retries") or 3))
    return Check(
        argv,
        script,
        times,
        3 if retries is None else retries,
        instruction,
        words(test)[2:] if isinstance(test, list) and test[0] == "CMD-SHELL" else (),
    )


def is_missing(service: Service) -> bool | None:
    """Say whether there is no health check; None where only the image would know."""
    spec = service.get("healthcheck", default={})
    if spec.get("disable") or spec.get("test") == ["NONE"]:
        return True
    if spec.get("test") or check_of(service):
        return False
    return None if service.facts.has_health is None else not service.facts.has_health


def parts(test: object) -> tuple[tuple[str, ...], str]:
    """Split a Compose test into the argv of `CMD` and the script of `CMD-SHELL`."""
    if isinstance(test, str):
        return (), words([test])[0]
    form, *rest = words(test) or ("NONE",)
    if form == "CMD-SHELL":
        return (), rest[0] if rest else ""
    argv = tuple(rest) if form == "CMD" else (form, *rest)
    return argv, script_of(argv) or ""


def image_test(instruction: Instruction) -> list[str]:
    text = re.sub(r"^CMD\s*", "", instruction.text, flags=re.IGNORECASE)
    argv = exec_form(text)
    return ["CMD", *argv] if argv is not None else ["CMD-SHELL", text]


def from_flags(instruction: Instruction) -> dict[str, str]:
    return {key.replace("-", "_"): value for key, value in instruction.flags.items()}


def hit(
    service: Service, check: Check, message: str, *, severity: str = ""
) -> RawFinding:
    """Return a hit at the health check, in the Dockerfile when it stands there."""
    if check.file is not None and service.build is not None:
        path = service.build.dockerfile.path
        where = service.path("build")
        return RawFinding(where, message, severity, path, check.file.line)
    return RawFinding(service.path("healthcheck", "test"), message, severity)
