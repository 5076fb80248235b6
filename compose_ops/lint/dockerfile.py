"""Read Dockerfiles: instructions with their lines, stages, what a stage rests on."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compose_ops.errors import ConfigurationError

KEYWORD = re.compile(r"\s*([A-Za-z]+)\s*(.*)", re.DOTALL)
FLAG = re.compile(r"--([a-z-]+)(?:=(\S*))?\s*")
HEREDOC = re.compile(r"<<-?\s*[\"']?(\w+)[\"']?")
VARIABLE = re.compile(r"\$(?:\{(\w+)(?::([-+])([^}]*))?\}|(\w+))")


@dataclass(frozen=True, slots=True)
class Instruction:
    """
    One instruction: its first line (from 1), keyword in capitals, flags and text.

    `argv` is the list of an exec form, `None` for a shell form. `notes` are the
    comment lines right above.
    """

    line: int
    keyword: str
    text: str
    flags: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def argv(self) -> tuple[str, ...] | None:
        return exec_form(self.text)

    def words(self) -> list[str]:
        """Return the exec form's arguments, or the text cut at blanks."""
        return list(self.argv or self.text.split())


@dataclass(frozen=True, slots=True)
class Stage:
    """One build stage; `base` is its FROM with the build arguments filled in."""

    name: str
    base: str
    line: int
    instructions: tuple[Instruction, ...]

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

    def chain(self, stage: Stage) -> tuple[Stage, ...]:
        """Return the stage and those that it is built on, the nearest first."""
        found = [stage]
        for _ in self.stages:
            below = self.stage(found[-1].base)
            if below is None or below in found:
                break
            found.append(below)
        return tuple(found)

    def instructions(self) -> list[Instruction]:
        """Return all instructions in order."""
        return [*self.head, *(i for stage in self.stages for i in stage.instructions)]


def exec_form(text: str) -> tuple[str, ...] | None:
    """Return the arguments of an exec form (a JSON list of text), else None."""
    if not text.lstrip().startswith("["):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return tuple(value)
    return None


def read(path: Path, arguments: Mapping[str, str] | None = None) -> Dockerfile:
    """Read a Dockerfile. Raises ConfigurationError when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
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
    known = defaults(head) | dict(arguments or {})
    return Dockerfile(
        path,
        tuple(head),
        tuple(make_stage(start, body, known) for start, body in stages),
    )


def make_stage(
    start: Instruction, body: Sequence[Instruction], known: Mapping[str, str]
) -> Stage:
    words = start.text.split()
    named = len(words) == 3 and words[1].upper() == "AS"  # noqa: PLR2004
    base = fill(words[0], known) if words else ""
    return Stage(words[2] if named else "", base, start.line, (start, *body))


def defaults(head: Sequence[Instruction]) -> dict[str, str]:
    """Return the defaults of the arguments declared before the first FROM."""
    found: dict[str, str] = {}
    for instruction in head:
        if instruction.keyword == "ARG":
            for word in instruction.text.split():
                name, _, value = word.partition("=")
                found[name] = fill(value.strip("\"'"), found)
    return found


def fill(text: str, known: Mapping[str, str]) -> str:
    """Fill `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}`."""

    def value(match: re.Match[str]) -> str:
        name, operator, word, bare = match.groups()
        current = known.get(name or bare, "")
        if operator == "-":
            return current or word
        if operator == "+":
            return word if current else ""
        return current

    return VARIABLE.sub(value, text)


def split(text: str, first_line: int = 1) -> list[Instruction]:
    """Cut the text into instructions; continuation lines and heredocs stay together."""
    lines = text.splitlines()
    found: list[Instruction] = []
    notes: list[str] = []
    index = 0
    while index < len(lines):
        stripped = lines[index].strip()
        if not stripped or stripped.startswith("#"):
            notes = [*notes, stripped] if stripped else []
            index += 1
            continue
        start = index
        index, body = take(lines, index)
        found.append(make_instruction(start + first_line, body, tuple(notes)))
        notes = []
    return found


def take(lines: Sequence[str], index: int) -> tuple[int, str]:
    """Return the index after the instruction that starts here, and its text."""
    parts: list[str] = []
    while index < len(lines):
        line = lines[index]
        index += 1
        if parts and line.strip().startswith("#"):
            continue
        parts.append(line.rstrip().removesuffix("\\"))
        if not line.rstrip().endswith("\\"):
            break
    body = "\n".join(parts)
    for marker in HEREDOC.findall(body) if KEYWORD_WITH_HEREDOC.match(body) else ():
        while index < len(lines):
            body += "\n" + lines[index]
            index += 1
            if lines[index - 1].strip() == marker:
                break
    return index, body


KEYWORD_WITH_HEREDOC = re.compile(r"\s*(RUN|COPY|ADD)\b", re.IGNORECASE)


def make_instruction(line: int, body: str, notes: tuple[str, ...]) -> Instruction:
    match = KEYWORD.match(body)
    keyword, rest = (match[1].upper(), match[2]) if match else ("", body)
    flags: dict[str, str] = {}
    while (flag := FLAG.match(rest)) and keyword not in {"CMD", "ENTRYPOINT"}:
        flags[flag[1]] = flag[2] or ""
        rest = rest[flag.end() :]
    return Instruction(line, keyword, rest.strip(), flags, notes)
