"""Environment: documented, read, and of effect."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from compose_ops.lint.composefile import Document, Node, Step
from compose_ops.lint.env_files import EnvFile
from compose_ops.lint.finding import RawFinding
from compose_ops.lint.placeholders import value_for
from compose_ops.lint.registry import rule
from compose_ops.lint.rules.commands import command_hit
from compose_ops.lint.rules.databases import mentions
from compose_ops.lint.rules.products import product_of, translated
from compose_ops.lint.target import LintTarget
from compose_ops.project.interpolation import variables

RESERVED = re.compile(r"^(COMPOSE|DOCKER|BUILDKIT)_")


@dataclass(frozen=True, slots=True)
class Use:
    """A variable where a file uses it; `optional` when Compose does without it."""

    name: str
    optional: bool
    path: tuple[Step, ...]
    document: Document
    node: Node

    def hit(self, message: str, severity: str = "") -> RawFinding:
        """Return a hit there."""
        node = self.node
        return RawFinding(
            self.path, message, severity, self.document.path, node.line, node.column
        )


def interpolated(subject: LintTarget) -> Iterator[Use]:
    """Yield each use of a variable in the files, as they are written."""
    for document in subject.documents:
        for path, node in document.root.walk():
            for name, optional in variables(node.text()) if "$" in node.text() else ():
                yield Use(name, optional, path, document, node)


def needed(subject: LintTarget) -> Iterator[list[Use]]:
    """Yield the uses of each variable that has no default and no value of its own."""
    found: dict[str, list[Use]] = {}
    for use in interpolated(subject):
        given = use.optional or use.name in use.document.given
        if not given and not RESERVED.search(use.name):
            found.setdefault(use.name, []).append(use)
    yield from found.values()


def elsewhere(uses: list[Use]) -> str:
    """Return in how many places a variable is used, when in several."""
    count = len({(use.document.path, use.node.line) for use in uses})
    return f" (used in {count} places)" if count > 1 else ""


@rule(
    "variable-empty",
    "warning",
    "A variable that nobody sets becomes empty.",
    why="Compose warns once and goes on with an empty text: an image without a tag, a "
    "password that is none. An error where Compose or the engine refuses the result.",
    source="run on Compose 2.26.1",
    repair="Give it a default (`${NAME:-value}`), demand it (`${NAME:?why}`), or name "
    "it in `.env.example`.",
    needs=("model",),
)
def variable_empty(subject: LintTarget) -> Iterator[RawFinding]:
    expected = expects_env_file(subject)
    for uses in needed(subject):
        use = uses[0]
        if use.name not in subject.unset or is_required(use):
            continue
        if subject.example is not None and not is_documented(subject.example, use):
            continue  # variable-undocumented names it
        fatal = refused_when_empty(subject, uses)
        if fatal is not None:
            yield fatal[0].hit(f"{use.name} is set nowhere: {fatal[1]}", "error")
        elif subject.example is None and expected:
            yield use.hit(f"{use.name} is set in no file that is here", "note")
        elif subject.example is None:
            yield use.hit(
                f"{use.name} is set nowhere and becomes empty{elsewhere(uses)}"
            )


def expects_env_file(subject: LintTarget) -> bool:
    """Say whether services are given a `.env` that is not here: it sets variables."""
    named = {
        node.text().removeprefix("./")
        for document in subject.documents
        for path, node in document.root.walk()
        if "env_file" in path
    }
    return ".env" in named and not (subject.root / ".env").exists()


def is_required(use: Use) -> bool:
    return bool(re.search(rf"\$\{{{use.name}:?\?", use.node.text()))


def refused_when_empty(subject: LintTarget, uses: list[Use]) -> tuple[Use, str] | None:
    """Return where an empty variable is refused, and how."""
    for use in uses:
        filled = use.name in subject.placeholders
        if filled and value_for(use.path, use.node.text(), use.name):
            return use, "Compose refuses an empty text here"
        if use.path[-1] == "image" and use.path[:1] == ("services",):
            image = only_filled(use.node.text(), subject)
            if image and (image.endswith((":", "/", "@")) or "/:" in image):
                return use, f"the image would be `{image}`, which the engine refuses"
    return None


def only_filled(text: str, subject: LintTarget) -> str:
    """Return a text with the unset variables left out, empty where others are in it."""
    for name, _ in list(variables(text)):
        if name in subject.unset:
            text = re.sub(rf"\$\{{{name}\}}|\${name}\b", "", text)
    return "" if "$" in text else text


@rule(
    "variable-undocumented",
    "warning",
    "A variable without a default is not in `.env.example`.",
    why="Compose warns once and puts an empty text in its place; whoever sets the "
    "project up never learns of it.",
    source="run on Compose 2.26.1",
    repair="Add it to `.env.example`, or give it a default: `${NAME:-value}`.",
    scope="project",
    needs=("files",),
)
def variable_undocumented(subject: LintTarget) -> Iterator[RawFinding]:
    example = subject.example
    if example is None:
        return
    for uses in needed(subject):
        use = uses[0]
        if is_documented(example, use):
            continue
        unset = use.name in subject.unset and not is_required(use)
        fatal = refused_when_empty(subject, uses) if unset else None
        message = f"{use.name} has no default and is not in {example.path.name}"
        if fatal is not None:
            yield fatal[0].hit(f"{message}: {fatal[1]}", "error")
        else:
            yield use.hit(f"{message}{elsewhere(uses)}")


def is_documented(example: EnvFile, use: Use) -> bool:
    """Say whether the example names a variable, as a setting or in a comment."""
    return use.name in example.lines or use.name in example.optional


@rule(
    "variable-unused",
    "warning",
    "A variable in `.env.example` is read by no compose file.",
    why="Somebody sets it and believes in it; nothing changes.",
    source="docs.docker.com, Set environment variables: `.env` only interpolates",
    repair="Delete it, or use it.",
    scope="project",
)
def variable_unused(subject: LintTarget) -> Iterator[RawFinding]:
    if subject.example is None or passes_env_file(subject):
        return
    used = {use.name for use in interpolated(subject)} | passed_through(subject)
    for name, line in subject.example.lines.items():
        if name not in used and not RESERVED.search(name):
            yield RawFinding(
                (), f"no file reads {name}", "", subject.example.path, line.line
            )


def passes_env_file(subject: LintTarget) -> bool:
    """Say whether a service is given an environment file as a whole."""
    return any(
        path and path[-1] == "env_file"
        for document in subject.documents
        for path, _ in document.root.walk()
    )


def passed_through(subject: LintTarget) -> set[str]:
    """Return variables that services take from the shell by name alone."""
    found = set()
    for document in subject.documents:
        for path, node in document.root.walk():
            if path[-2:-1] == ("environment",):
                by_name = isinstance(path[-1], int) and "=" not in node.text()
                found.add(node.text() if by_name else str(path[-1]))
    return found


@rule(
    "environment-ignored",
    "warning",
    "A variable is set that the program does not read.",
    why="The setting looks made and is not: Memgraph serves plain Bolt with a "
    "certificate in its environment, Ray sizes its object store by itself.",
    source="the products' sources, named in `rules/products.py`; run with Ray 2.9.0",
    repair="Set what the program reads, or translate it in the command.",
)
def environment_ignored(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        product = product_of(service)
        for variable in service.environment if product else ():
            to = product.ignored.get(variable) if product else None
            if product is None or to is None or translated(service, variable, to):
                continue
            if product.name in OFTEN_READ and mentions(service, variable):
                continue
            instead = f"; it reads {to}" if to else ""
            yield RawFinding(
                service.path("environment", variable),
                f"{product.name} ignores {variable}{instead}",
            )


OFTEN_READ = frozenset({"PostgreSQL", "This image", "Redis"})
"""Products whose own scripts, settings or checks often read what the image does not."""


@rule(
    "fatal-setting",
    "error",
    "A setting makes the program exit, or never connect.",
    why="With a restart policy the container starts and ends for ever; without a "
    "health check nobody sees it.",
    source="the products' sources, named in `rules/products.py`; run with Ray 2.9.0",
    repair="Do what the message says.",
)
def fatal_setting(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        product = product_of(service)
        for where, fault in product.fatal.items() if product else ():
            reason = fault(service)
            if reason and where.strip() == "command":
                yield command_hit(service, f"{service.name}: {reason}")
            elif reason:
                yield RawFinding(
                    service.path("environment", where),
                    f"{service.name}: {reason}",
                    "warning" if "probably" in reason else "",
                )


@rule(
    "version-as-number",
    "warning",
    "A version is written as a number.",
    why="YAML reads 3.10 as 3.1: the value changes without a word the day the version "
    "gets a second digit.",
    source="run on Compose 2.26.1: `PYTHON_VERSION: 3.10` becomes 3.1",
    repair="Put it in quotes.",
)
def version_as_number(subject: LintTarget) -> Iterator[RawFinding]:
    for document in subject.documents:
        for path, node in document.root.walk():
            if is_version(path, node):
                yield RawFinding(path, f"{path[-1]}: {node.text()} is a number")


def is_version(path: tuple[Step, ...], node: Node) -> bool:
    return (
        node.kind == "float"
        and path[-2:-1] in {("args",), ("environment",)}
        and "VERSION" in str(path[-1]).upper()
    )
