"""Facts of `.env`, its example and the shell that the task runs in."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jimbot_stack import environment
from jimbot_stack.checks.facts.access import readers
from jimbot_stack.checks.registry import NotMeasuredError, fact
from jimbot_stack.checks.verdict import command
from jimbot_stack.paths import ENV_EXAMPLE, ENV_FILE
from jimbot_stack.stack import Stack

_NAME = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=")


@dataclass(frozen=True, slots=True)
class Settings:
    """
    `.env` (None when there is none), its example and the shell's environment.

    `repeated` are names that `.env` sets more than once, `broken` its lines that are no
    assignment, counted from 1; `readers` names others who can read it.
    """

    file: Mapping[str, str] | None
    example: Mapping[str, str]
    shell: Mapping[str, str]
    repeated: tuple[str, ...] = ()
    broken: tuple[int, ...] = ()
    readers: str = ""
    in_force: Mapping[str, str] = field(default_factory=dict)

    def variable(self, value: str, ending: str) -> str:
        """Return the variable of that ending that has *value* now, or nothing."""
        for name, now in self.in_force.items():
            if now == value and name.endswith(ending):
                return name
        return ""

    def assignment(self, name: str, value: str) -> str:
        """Return the command that gives a variable a value from now on."""
        if name in self.shell:
            return f"export {command(f'{name}={value}')}"
        if name in (self.file or {}):
            return command("sed", "-i", f"s|^{name}=.*|{name}={value}|", ENV_FILE)
        return f"echo {command(f'{name}={value}')} >> {ENV_FILE}"


@fact(limit=2)
def settings(stack: Stack) -> Settings:
    path = stack.root / ENV_FILE
    example = environment.read(stack.root / ENV_EXAMPLE)
    if not path.exists():
        shell = dict(os.environ)
        return Settings(None, example, shell, in_force=example | shell)
    return read_settings(path, example, dict(os.environ))


@fact(limit=1)
def own_values(settings: Settings) -> Mapping[str, str]:
    """Return what `.env` sets, where there is one."""
    if settings.file is None:
        raise NotMeasuredError(f"there is no {ENV_FILE}")
    return settings.file


def read_settings(
    path: Path, example: Mapping[str, str], shell: Mapping[str, str]
) -> Settings:
    """Read an env file with what is odd about it."""
    lines = path.read_text(errors="replace").splitlines()
    names = [found[1] for line in lines if (found := _NAME.match(line))]
    values = environment.read(path)
    return Settings(
        file=values,
        example=example,
        shell=shell,
        repeated=tuple(sorted({name for name in names if names.count(name) > 1})),
        broken=tuple(
            number
            for number, line in enumerate(lines, start=1)
            if line.strip() and not line.lstrip().startswith("#")
            if not _NAME.match(line)
        ),
        readers=readers(path, path.stat()),
        in_force={**example, **values, **shell},
    )
