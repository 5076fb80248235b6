"""Secrets: not in files, not in environments, not in images."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from compose_ops.lint.dockerignore import is_ignored
from compose_ops.lint.finding import RawFinding
from compose_ops.lint.registry import rule
from compose_ops.lint.rules.builds import at, built, sources
from compose_ops.lint.target import Build, LintTarget
from compose_ops.project.interpolation import is_literal

SECRET = re.compile(
    r"(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|CREDENTIALS|ACCESS_?KEY)"
    r"(_[A-Z0-9]+)?$",
    re.IGNORECASE,
)
HARMLESS = re.compile(
    r"(_FILE|_PATH|_DIR|_ENABLED|_LENGTH|_TTL|_NAME|_URL|_EXPIRY)$", re.IGNORECASE
)


def is_secret(name: str) -> bool:
    """Say whether a variable's name says that it holds a secret."""
    return bool(SECRET.search(name)) and not HARMLESS.search(name)


@rule(
    "secret-in-environment",
    "warning",
    "A secret is given to a container through its environment.",
    why="`docker inspect`, a crash report and every child process show it. Written out "
    "in the file it is in the repository as well.",
    source="docs.docker.com, Secrets in Compose; OWASP Docker Security rule 12",
    repair="Mount it with `secrets:` and read the file (`…_FILE`).",
)
def secret_in_environment(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        for name, value in service.environment.items():
            if not is_secret(name) or value.startswith("/run/secrets/"):
                continue
            path = service.path("environment", name)
            written = [n.text() for d in subject.documents if (n := d.find(path))]
            literal = bool(value) and bool(written) and is_literal(written[-1])
            how = "is written out in the file" if literal else "is in the environment"
            yield RawFinding(path, f"{service.name}: {name} {how}")


@rule(
    "secret-in-build",
    "error",
    "A secret is a build argument, or set in a Dockerfile.",
    why="`docker history` shows it to everybody who has the image, for ever.",
    source="BuildKit check SecretsUsedInArgOrEnv; docs.docker.com, Build secrets",
    repair="`RUN --mount=type=secret` with `build.secrets`.",
)
def secret_in_build(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        for name in service.get("build", "args", default={}):
            if is_secret(name):
                yield RawFinding(
                    service.path("build", "args", name),
                    f"{service.name}: build argument {name} stays in the image",
                )
    for service, build in built(subject):
        for instruction in build.dockerfile.instructions():
            words = instruction.text.split() if instruction.keyword == "ENV" else []
            if instruction.keyword == "ARG":
                words = instruction.text.split()
            for name in (w.split("=")[0] for w in words if "=" in w or w is words[0]):
                if is_secret(name):
                    message = f"{instruction.keyword} {name} stays in the image"
                    yield at(service, build, instruction.line, message)


@rule(
    "secret-baked",
    "error",
    "A secret or an environment file would be copied into the image.",
    why="`COPY . .` takes everything that `.dockerignore` does not name: `.env`, keys "
    "and backups are then in every copy of the image.",
    source="run on BuildKit of Engine 26.1.5",
    repair="Start `.dockerignore` with `*` and name what enters.",
)
def secret_baked(subject: LintTarget) -> Iterator[RawFinding]:
    files = secret_files(subject)
    for service, build in built(subject):
        below = tuple(files_below(build, files))
        for instruction in build.dockerfile.instructions():
            baked = [
                name
                for source in sources(instruction)
                for name in below
                if takes(source, name) and not is_ignored(name, build.ignore or ())
            ]
            if baked:
                yield at(
                    service,
                    build,
                    instruction.line,
                    f"{service.name}'s image takes in {', '.join(sorted(set(baked)))}",
                )


def secret_files(subject: LintTarget) -> list[str]:
    """Return the absolute paths of the files that hold secrets."""
    named = [
        str((spec or {}).get("file") or "")
        for spec in (subject.model.get("secrets") or {}).values()
    ]
    listed: list[str] = []
    for document in subject.documents:
        for path, node in document.root.walk():
            if "env_file" in path and node.text():
                listed.append(str(document.path.parent / node.text()))
    return [one for one in (*named, *listed) if one]


def files_below(build: Build, files: list[str]) -> Iterator[str]:
    """Yield secret files as the build's context sees them, `.env` among them."""
    if build.present:
        yield ".env"
    for name in files:
        path = PurePosixPath(name)
        if path.is_relative_to(str(build.context)):
            yield str(path.relative_to(str(build.context)))


def takes(source: str, name: str) -> bool:
    """Say whether copying a source of the context copies a file of it."""
    plain = str(PurePosixPath(source.lstrip("/") or "."))
    return plain in {".", name} or PurePosixPath(name).is_relative_to(plain)
