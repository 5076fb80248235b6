"""Environment: documented, read, and of effect."""

import re
from collections.abc import Iterator

from compose_ops.lint.composefile import Node, Step
from compose_ops.lint.finding import RawFinding
from compose_ops.lint.registry import rule
from compose_ops.lint.rules.commands import command_hit
from compose_ops.lint.rules.products import product_of, translated
from compose_ops.lint.target import LintTarget
from compose_ops.project.interpolation import variables

RESERVED = re.compile(r"^(COMPOSE|DOCKER|BUILDKIT)_")


def interpolated(subject: LintTarget) -> Iterator[tuple[str, bool, tuple[Step, ...]]]:
    """Yield each variable of the files, whether it has a default, and its path."""
    for document in subject.documents:
        for path, node in document.root.walk():
            for name, optional in variables(node.text()):
                yield name, optional, path


@rule(
    "variable-undocumented",
    "warning",
    "A variable without a default is not in `.env.example`.",
    why="Compose warns once and puts an empty text in its place; whoever sets the "
    "project up never learns of it.",
    source="run on Compose 2.26.1",
    repair="Add it to `.env.example`, or give it a default: `${NAME:-value}`.",
    scope="project",
)
def variable_undocumented(subject: LintTarget) -> Iterator[RawFinding]:
    if subject.example is None:
        return
    for name, optional, path in interpolated(subject):
        if (
            not optional
            and name not in subject.example.lines
            and not RESERVED.search(name)
        ):
            yield RawFinding(
                path, f"{name} has no default and is not in {subject.example.path.name}"
            )


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
    used = {name for name, _, _ in interpolated(subject)} | passed_through(subject)
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
            instead = f"; it reads {to}" if to else ""
            yield RawFinding(
                service.path("environment", variable),
                f"{product.name} ignores {variable}{instead}",
            )


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
                    service.path("environment", where), f"{service.name}: {reason}"
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
