"""Facts of `.env`, its example and the shell that the task runs in."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from compose_ops.doctor.facts.access import readers
from compose_ops.doctor.registry import NotMeasuredError, fact
from compose_ops.errors import ConfigurationError
from compose_ops.project import compose_values, env_file
from compose_ops.project.interpolation import variables
from compose_ops.project.paths import ENV_FILE
from compose_ops.runtime.context import StackContext
from compose_ops.verdicts import command

COMPOSE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Settings:
    """
    `.env` (None when there is none), its example and the shell's environment.

    `trouble` is why a `.env` that is there cannot be read; `file` is None then, too.
    `repeated` has the lines, first and last, of values that a later one of the same
    name replaces; `broken` are lines that are no assignment; all counted from 1.
    `readers` names others who can read it.
    """

    file: Mapping[str, str] | None
    example: Mapping[str, str]
    shell: Mapping[str, str]
    repeated: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)
    broken: tuple[int, ...] = ()
    readers: str = ""
    in_force: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""

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


@fact(limit=4)
def settings(stack: StackContext) -> Settings:
    path = stack.root / ENV_FILE
    example = env_file.read(stack.config.example)
    shell = dict(os.environ)
    absent = Settings(None, example, shell, in_force=example | shell)
    try:
        return read_settings(path, example, shell) if path.exists() else absent
    except (ConfigurationError, OSError) as unreadable:
        return replace(absent, trouble=str(unreadable.__cause__ or unreadable))


@fact(limit=2)
def own_values(settings: Settings) -> Mapping[str, str]:
    """Return what `.env` sets, where there is one."""
    if settings.file is None:
        gone = "cannot be read" if settings.trouble else "does not exist"
        raise NotMeasuredError(f"{ENV_FILE} {gone}")
    return settings.file


@fact(limit=4)
def interpolated(stack: StackContext) -> frozenset[str]:
    """Return the variables that the checkout's compose files and overlays read."""
    files = dict.fromkeys([*stack.mode.files, *stack.modes.all_files()])
    texts = [path.read_text(errors="replace") for path in files if path.is_file()]
    return frozenset(name for text in texts for name, _ in variables(text))


@dataclass(frozen=True, slots=True)
class Interpolated:
    """
    A value of `.env` that Compose reads otherwise than it is written.

    `unset` are the variables in it that have no value: they become nothing.
    """

    name: str
    unset: tuple[str, ...]


@fact(limit=COMPOSE_SECONDS + 1)
def interpolated_values(
    stack: StackContext, settings: Settings, own_values: Mapping[str, str]
) -> tuple[Interpolated, ...]:
    """Compare what stands in `.env` with what Compose makes of it."""
    written = {
        name: value
        for name, value in own_values.items()
        if "$" in value and name not in settings.shell
    }
    if not written:
        return ()
    values, known = _values_in_compose(stack, written), settings.in_force
    return tuple(
        Interpolated(name, tuple(n for n, _ in variables(value) if not known.get(n)))
        for name, value in written.items()
        if values.get(name, value) != value
    )


def _values_in_compose(
    stack: StackContext, names: Mapping[str, str]
) -> Mapping[str, str]:
    files = [stack.root / ENV_FILE]
    try:
        return compose_values.ask(stack.engine, names, files, timeout=COMPOSE_SECONDS)
    except ConfigurationError as refused:
        raise NotMeasuredError(f"Compose cannot read {ENV_FILE}") from refused


def read_settings(
    path: Path, example: Mapping[str, str], shell: Mapping[str, str]
) -> Settings:
    """Read an env file with its irregularities."""
    values = env_file.read(path)
    found = env_file.statements(path.read_text(errors="replace"))
    names = [statement.name for statement in found if statement.name]
    return Settings(
        file=values,
        example=example,
        shell=shell,
        repeated={
            name: [
                (statement.first, statement.last)
                for statement in found
                if statement.name == name
            ][:-1]
            for name in names
            if names.count(name) > 1
        },
        broken=tuple(statement.first for statement in found if not statement.name),
        readers=readers(path, path.stat()),
        in_force={**example, **values, **shell},
    )
