"""Read Dockerfiles: stages, what a stage rests on, and what FROM means."""

import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from compose_ops.errors import ConfigurationError
from compose_ops.lint.composefile import text_of
from compose_ops.lint.docker_variables import fill
from compose_ops.lint.dockerfile_text import Instruction, exec_form, split

__all__ = [
    "Dockerfile",
    "Instruction",
    "Stage",
    "assignments",
    "exec_form",
    "fill",
    "parse",
    "read",
]

ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Stage:
    """
    One build stage; `base` is its FROM with the build arguments filled in.

    `index` is its number from 0. The base is empty where an argument that nobody sets
    names it.
    """

    name: str
    base: str
    line: int
    instructions: tuple[Instruction, ...]
    index: int = 0

    def last(self, keyword: str) -> Instruction | None:
        """Return the stage's last instruction of a kind, or None."""
        return next(
            (i for i in reversed(self.instructions) if i.keyword == keyword), None
        )

    def every(self, *keywords: str) -> list[Instruction]:
        """Return the stage's instructions of these kinds, in order."""
        return [i for i in self.instructions if i.keyword in keywords]


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """
    A Dockerfile; `head` are the instructions before the first FROM.

    `first_line` is where its text starts in `path`: more than 1 for a Dockerfile that
    a compose file carries inline.
    """

    path: Path
    head: tuple[Instruction, ...]
    stages: tuple[Stage, ...]

    def stage(self, name: str | None) -> Stage | None:
        """Return the stage of that name or number, the last one without a name."""
        if not name:
            return self.stages[-1] if self.stages else None
        for index, stage in enumerate(self.stages):
            if name.lower() == stage.name.lower() or name == str(index):
                return stage
        return None

    def below(self, stage: Stage) -> Stage | None:
        """Return the earlier stage that a stage starts from, None for an image."""
        return self.earlier(stage, stage.base, numbers=False)

    def earlier(self, stage: Stage, name: str, *, numbers: bool) -> Stage | None:
        """Return the stage of a name, or number, that stands before another."""
        for one in reversed(self.stages[: stage.index]):
            if name and one.name.lower() == name.lower():
                return one
            if numbers and name == str(one.index):
                return one
        return None

    def chain(self, stage: Stage) -> tuple[Stage, ...]:
        """Return the stage and those that it is built on, the nearest first."""
        found = [stage]
        while (below := self.below(found[-1])) is not None:
            found.append(below)
        return tuple(found)

    def needed(self, stage: Stage) -> tuple[Stage, ...]:
        """Return the stages that BuildKit builds for this one, in their order."""
        wanted, waiting = {stage.index}, [stage]
        while waiting:
            one = waiting.pop()
            found = [self.below(one), *self.taken_from(one)]
            for other in found:
                if other is not None and other.index not in wanted:
                    wanted.add(other.index)
                    waiting.append(other)
        return tuple(one for one in self.stages if one.index in wanted)

    def taken_from(self, stage: Stage) -> Iterator[Stage]:
        """Yield the stages that a stage copies from, or mounts."""
        for instruction in stage.instructions:
            names = [v for key, v in instruction.flag_list if key == "from"]
            for key, value in instruction.flag_list:
                if key == "mount":
                    options = dict(o.partition("=")[::2] for o in value.split(","))
                    names.append(options.get("from", ""))
            for name in names:
                found = self.earlier(stage, name, numbers=True)
                if found is not None:
                    yield found

    def instructions(self) -> list[Instruction]:
        """Return all instructions in order."""
        return [*self.head, *(i for stage in self.stages for i in stage.instructions)]


def read(path: Path, arguments: Mapping[str, str] | None = None) -> Dockerfile:
    """Read a Dockerfile. Raises ConfigurationError when it cannot be read."""
    try:
        text = text_of(path)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error}", hint="correct `build.dockerfile`"
        ) from error
    return parse(text, path, arguments=arguments)


def parse(
    text: str,
    path: Path,
    *,
    arguments: Mapping[str, str] | None = None,
    first_line: int = 1,
) -> Dockerfile:
    """Parse a Dockerfile's text; `arguments` are build arguments by name."""
    head: list[Instruction] = []
    stages: list[tuple[Instruction, list[Instruction]]] = []
    for instruction in split(text, first_line):
        if instruction.keyword == "FROM":
            stages.append((instruction, []))
        elif stages:
            stages[-1][1].append(instruction)
        else:
            head.append(instruction)
    given = dict(arguments or {})
    known = predefined() | given
    known = defaults(head, known) | given
    made = [make_stage(start, body, known) for start, body in stages]
    return Dockerfile(
        path,
        tuple(head),
        tuple(replace(one, index=index) for index, one in enumerate(made)),
    )


def predefined() -> dict[str, str]:
    """Return the arguments that BuildKit sets itself, for a build for this machine."""
    arch = ARCHITECTURES.get(platform.machine(), platform.machine().lower())
    found: dict[str, str] = {}
    for who in ("BUILD", "TARGET"):
        found |= {
            f"{who}PLATFORM": f"linux/{arch}",
            f"{who}OS": "linux",
            f"{who}ARCH": arch,
            f"{who}VARIANT": "",
        }
    return found


def make_stage(
    start: Instruction, body: Sequence[Instruction], known: Mapping[str, str]
) -> Stage:
    words = start.text.split()
    named = len(words) == 3 and words[1].upper() == "AS"  # noqa: PLR2004
    base = fill(words[0].strip("\"'"), known) if words else ""
    return Stage(words[2] if named else "", base, start.line, (start, *body))


def defaults(
    head: Sequence[Instruction], known: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the defaults of the arguments declared before the first FROM."""
    found: dict[str, str] = dict(known or {})
    for instruction in head:
        for name, value in assignments(instruction):
            if instruction.keyword == "ARG" and value is not None:
                found[name] = fill(value, found)
    return found


def assignments(instruction: Instruction) -> Iterator[tuple[str, str | None]]:
    """
    Yield name and value of each assignment in an ARG, ENV or LABEL.

    The value is None for an ARG without one; `ENV NAME value` is one assignment.
    """
    text = instruction.text
    first, _, rest = text.partition(" ")
    if instruction.keyword == "ENV" and first and "=" not in first:
        yield first, rest.strip()
        return
    for word in _words(text):
        name, equals, value = word.partition("=")
        if name:
            yield name.strip("\"'"), unquoted(value) if equals else None


def _words(text: str) -> list[str]:
    return re.findall(r"(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|\\.|[^\s\"'\\])+", text)


def unquoted(text: str) -> str:
    """Return a word without its quotes."""
    return re.sub(r"\"((?:[^\"\\]|\\.)*)\"|'([^']*)'", r"\1\2", text)
