"""What a build takes from its context, and where the image has it then."""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from compose_ops.lint.composefile import text_of
from compose_ops.lint.docker_variables import fill
from compose_ops.lint.dockerfile import Dockerfile, Stage, assignments
from compose_ops.lint.dockerfile_text import HEREDOC, Instruction
from compose_ops.lint.dockerignore import has_wildcard, is_ignored

MADE_BEFORE = re.compile(
    r"(^|/)(dist|build|target|out|bin|publish|release|_site|\.output|\.next|generated)(/|$)"
    r"|\.(jar|war|ear|whl|deb|rpm|tgz|tar(\.\w+)?|zip|exe)$"
)


def sources(
    instruction: Instruction, known: Mapping[str, str] | None = None
) -> list[str]:
    """
    Return the sources that COPY or ADD takes from the context.

    Heredocs and addresses are none, nor is what names a variable that *known* lacks.
    """
    if instruction.keyword not in {"COPY", "ADD"} or "from" in instruction.flags:
        return []
    found = []
    for word in instruction.words()[:-1]:
        text = fill(word, known) if known and "$" in word else word
        remote = "://" in text or text.startswith("git@")
        if text and "$" not in text and not remote and not HEREDOC.match(text):
            found.append(text.strip("\"'"))
    return found


def arguments(file: Dockerfile, stage: Stage) -> dict[str, str]:
    """Return the variables with a value that a stage's instructions may name."""
    found: dict[str, str] = {}
    for one in (*file.head, *(i for s in file.chain(stage) for i in s.instructions)):
        if one.keyword in {"ARG", "ENV"}:
            found |= {name: value for name, value in assignments(one) if value}
    return {name: value for name, value in found.items() if "$" not in value}


def ignore_lines(context: Path, file: Path) -> tuple[str, ...] | None:
    """Return the ignore file's lines: the Dockerfile's own, else the context's."""
    for path in (Path(f"{file}.dockerignore"), context / ".dockerignore"):
        try:
            return tuple(text_of(path).splitlines())
        except OSError:
            continue
    return None


def in_context(source: str) -> str:
    """Return a source as a path below the context, empty for the context itself."""
    plain = posixpath.normpath(f"/{source}").lstrip("/")
    return "" if plain == "." else plain


def is_there(context: Path, source: str, ignore: Sequence[str]) -> bool:
    """
    Say whether a source of COPY is in the context and enters the build.

    A pattern that matches nothing is no fault for BuildKit.
    """
    plain = in_context(source)
    if not plain or has_wildcard(plain):
        return True
    try:
        if not (context / plain).exists() and not (context / plain).is_symlink():
            return False
    except (OSError, ValueError):
        return True
    if not is_ignored(plain, ignore):
        return True
    return any(
        posixpath.normpath(line.strip()[1:]).lstrip("/").startswith(f"{plain}/")
        or "*" in line
        for line in ignore
        if line.strip().startswith("!")
    )


def absent_sources(
    context: Path, file: Dockerfile, stage: Stage | None, ignore: Sequence[str]
) -> frozenset[str]:
    """Return the sources of the stages that are built which the context lacks."""
    named: set[str] = set()
    for one in file.needed(stage) if stage is not None else ():
        known = arguments(file, one)
        for instruction in one.instructions:
            named.update(sources(instruction, known))
    return frozenset(s for s in named if not is_there(context, s, ignore))


def folder_of(stages: Sequence[Stage], before: Instruction | None = None) -> str:
    """Return the working folder after these stages, or before an instruction."""
    folder = "/"
    for stage in stages:
        for instruction in stage.instructions:
            if instruction is before:
                return folder
            if instruction.keyword == "WORKDIR":
                folder = posixpath.join(folder, instruction.text.strip().strip("\"'"))
    return posixpath.normpath(folder)


def baked(
    file: Dockerfile, stage: Stage, name: str, ignore: Sequence[str]
) -> Iterator[Instruction]:
    """
    Yield the instructions that bring a file of the context into a stage's image.

    A file that an earlier stage copies counts when this one copies the folder on.
    """
    if is_ignored(name, ignore):
        return
    for _, instruction in _places(file, stage, name, 0):
        yield instruction


def _places(
    file: Dockerfile, stage: Stage, name: str, depth: int
) -> Iterator[tuple[str, Instruction]]:
    """Yield where a file of the context lies in a stage's image, and what put it."""
    chain = file.chain(stage)[::-1] if depth <= len(file.stages) else ()
    for one in chain:
        for instruction in one.every("COPY", "ADD"):
            if "from" in instruction.flags:
                for path in _copied_on(file, one, instruction, name, depth):
                    yield path, instruction
                continue
            words = instruction.words() or [""]
            folder = folder_of(chain, instruction)
            target = posixpath.join(folder, words[-1].strip("\"'"))
            for source in sources(instruction):
                below = taken(in_context(source), name)
                if below is not None:
                    yield posixpath.normpath(f"{target}/{below}"), instruction


def _copied_on(
    file: Dockerfile, stage: Stage, instruction: Instruction, name: str, depth: int
) -> Iterator[str]:
    """Yield where the file lay in the stage from which an instruction copies it."""
    earlier = file.earlier(stage, instruction.flags["from"], numbers=True)
    if earlier is None:
        return
    folder = folder_of(file.chain(earlier)[::-1])
    for path, _ in _places(file, earlier, name, depth + 1):
        for word in instruction.words()[:-1]:
            source = posixpath.normpath(posixpath.join(folder, word)).strip("/")
            if taken(source, path.strip("/")) is not None:
                yield path


def taken(source: str, name: str) -> str | None:
    """Return a file's path below a copied source, None when it is not copied."""
    if source in {"", "."}:
        return name
    if source == name:
        return posixpath.basename(name)
    return name[len(source) + 1 :] if name.startswith(f"{source}/") else None
