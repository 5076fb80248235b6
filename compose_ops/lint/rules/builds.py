"""Builds: stages, sources and arguments that are there, layers in a useful order."""

import re
from collections.abc import Iterator
from dataclasses import replace

from compose_ops.lint.build_context import arguments, sources
from compose_ops.lint.dockerfile import Instruction, Stage, assignments
from compose_ops.lint.finding import RawFinding
from compose_ops.lint.registry import rule
from compose_ops.lint.target import Build, LintTarget, Service

INSTALLS = re.compile(
    r"\b(pip3?|uv pip|pipenv|poetry|conda|mamba) (install|sync)|\buv sync|"
    r"\b(npm|pnpm|yarn|bun) (ci|install)\b|\byarn\s*(&&|$)|\bbundle install|"
    r"\bgo mod download|\bcargo (fetch|build)\b|\bcomposer install|\bmvn .*dependency:|"
    r"\bdotnet restore"
)
LISTS = re.compile(
    r"-r\s+\S|--requirement|package|pyproject|requirements|Gemfile|go\.mod|Cargo|"
    r"\b(npm|pnpm|yarn|bun|bundle|composer|mvn|go|cargo|poetry|pipenv|uv|dotnet)\b"
)
APT_INSTALLS = re.compile(r"\bapt(?:-get)?\b[^;&|]*\binstall\b([^;&|]*)")
PREDEFINED = re.compile(
    r"(https?|no|ftp|all)_proxy$|^(BUILDKIT|SOURCE_DATE|TARGET|BUILD)", re.IGNORECASE
)


def built(subject: LintTarget) -> Iterator[tuple[Service, Build]]:
    """Yield the services that are built from a Dockerfile that was read."""
    for service in subject.services:
        if service.build is not None:
            yield service, service.build


def at(service: Service, build: Build, line: int, message: str) -> RawFinding:
    """Return a hit in the service's Dockerfile."""
    return RawFinding(service.path("build"), message, "", build.dockerfile.path, line)


@rule(
    "target-missing",
    "error",
    "The build's target is no stage of the Dockerfile.",
    why="The build ends with `target stage could not be found`, on the machine of "
    "whoever starts that combination first.",
    source="run on BuildKit of Engine 26.1.5",
    repair="Add the stage, or correct `build.target`.",
    needs=("model", "dockerfile"),
)
def target_missing(subject: LintTarget) -> Iterator[RawFinding]:
    for service, build in built(subject):
        target = service.get("build", "target")
        if target and build.dockerfile.stage(target) is None:
            names = (
                ", ".join(s.name for s in build.dockerfile.stages if s.name) or "none"
            )
            yield RawFinding(
                service.path("build", "target"),
                f"{service.name} is built to stage {target}; "
                f"the Dockerfile has {names}",
            )


@rule(
    "copy-source-missing",
    "error",
    "COPY names a source that the build context does not hold.",
    why="The build ends with `not found`. Paths count from the context, not from the "
    "Dockerfile's own folder.",
    source="run on BuildKit of Engine 26.1.5",
    repair="Write the path from `build.context`, and keep it out of `.dockerignore`.",
    needs=("model", "dockerfile"),
)
def copy_source_missing(subject: LintTarget) -> Iterator[RawFinding]:
    for service, build in built(subject):
        for stage in service.needed_stages:
            known = arguments(build.dockerfile, stage)
            for instruction in stage.instructions:
                for source in sources(instruction, known):
                    if source in build.absent:
                        yield absent_source(service, build, instruction.line, source)


def absent_source(service: Service, build: Build, line: int, source: str) -> RawFinding:
    """Return the hit for a source, a warning where a step before the build makes it."""
    message = f"{service.name}'s build context has no {source}"
    if source in build.made_before:
        found = at(service, build, line, f"{message}: probably made before the build")
        return replace(found, severity="warning")
    return at(service, build, line, message)


@rule(
    "build-arg-unread",
    "warning",
    "A build argument is passed that the Dockerfile does not declare.",
    why="It has no effect: BuildKit drops it, and the image is built with the value "
    "that the Dockerfile has.",
    source="run on BuildKit of Engine 26.1.5",
    repair="Declare it with ARG where it is used, or drop it.",
    needs=("model", "dockerfile"),
)
def build_arg_unread(subject: LintTarget) -> Iterator[RawFinding]:
    for service, build in built(subject):
        declared = {
            word
            for instruction in build.dockerfile.instructions()
            if instruction.keyword == "ARG"
            for word, _ in assignments(instruction)
        }
        for name in service.get("build", "args", default={}):
            if name not in declared and not PREDEFINED.search(name):
                yield RawFinding(
                    service.path("build", "args", name),
                    f"{service.name}'s Dockerfile declares no ARG {name}",
                )


@rule(
    "layer-order",
    "warning",
    "Dependencies are installed after the source is copied.",
    why="Any change of the source changes the copied layer, so every build installs "
    "everything again.",
    source="docs.docker.com, Optimize cache usage; measured by any rebuild",
    repair="Copy the list of dependencies first, install, then copy the source.",
    needs=("model", "dockerfile"),
)
def layer_order(subject: LintTarget) -> Iterator[RawFinding]:
    for service, build in built(subject):
        for stage in service.needed_stages:
            found = late_install(stage)
            if found is not None:
                yield at(
                    service,
                    build,
                    found.line,
                    f"{service.name} installs dependencies after the source is copied",
                )


def late_install(stage: Stage) -> Instruction | None:
    """Return the first install of listed dependencies after a copy of everything."""
    copied = False
    for instruction in stage.instructions:
        words = [w.rstrip("/") or "/" for w in instruction.words()[:-1]]
        if instruction.keyword in {"COPY", "ADD"} and "from" not in instruction.flags:
            copied = copied or bool({".", "src", "./src", "app", "./app"} & set(words))
        install = instruction.keyword == "RUN" and INSTALLS.search(instruction.script)
        if copied and install and LISTS.search(instruction.script):
            return instruction
    return None


@rule(
    "package-absent",
    "error",
    "A package is installed that the base's release does not carry.",
    why="The build ends with `Unable to locate package`.",
    source="packages of Ubuntu 22.04; python3.9 comes from ppa:deadsnakes/ppa",
    repair="Add the archive that carries it, or take the release's own version.",
    needs=("model", "image"),
)
def package_absent(subject: LintTarget) -> Iterator[RawFinding]:
    for service, build in built(subject):
        for stage in service.stages:
            archive = "add-apt-repository" in "".join(
                i.script for i in stage.every("RUN")
            )
            for run in stage.every("RUN") if not archive else ():
                installed = {
                    word
                    for listed in APT_INSTALLS.findall(run.script)
                    for word in listed.split()
                }
                for package in sorted(installed & set(service.facts.packages)):
                    yield at(
                        service,
                        build,
                        run.line,
                        f"{service.image} has no {package}: "
                        f"{service.facts.packages[package]}",
                    )
