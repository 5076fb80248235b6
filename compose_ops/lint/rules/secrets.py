"""Secrets: not in files, not in environments, not in images."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from compose_ops.lint.build_context import baked
from compose_ops.lint.composefile import Node
from compose_ops.lint.dockerfile import assignments
from compose_ops.lint.finding import RawFinding
from compose_ops.lint.registry import rule
from compose_ops.lint.rules.builds import at, built
from compose_ops.lint.rules.ports import open_ports
from compose_ops.lint.secret_names import (
    is_password,
    is_secret,
    is_secret_value,
    is_well_known,
    literal_part,
    password_in,
    shown_secret,
)
from compose_ops.lint.target import Build, LintTarget, Service


def written_value(service: Service, name: str, section: str = "environment") -> str:
    """Return a variable as the last file writes it, empty where none does."""
    path = service.path(*section.split("."), name)
    found = [n for d in service.subject.documents if (n := d.find(path)) is not None]
    return value_of(found[-1], name) if found else ""


def extended_value(service: Service, name: str) -> str:
    """Return a variable's value where another file's service may state it."""
    files = service.subject.documents
    extends = any(one.find(service.path("extends")) for one in files)
    return service.environment.get(name, "") if extends else ""


def value_of(node: Node, name: str) -> str:
    """Return the value of a mapping's member or of a list's `NAME=value`."""
    text = node.text()
    return text.partition("=")[2] if text.startswith(f"{name}=") else text


@rule(
    "secret-in-environment",
    "warning",
    "A secret is given to a container through its environment.",
    why="`docker inspect`, a crash report and every child process show it. Written out "
    "in the file it is in the repository as well. A password inside an address counts.",
    source="docs.docker.com, Secrets in Compose; OWASP Docker Security rule 12",
    repair="Mount it with `secrets:` and read the file (`…_FILE`).",
)
def secret_in_environment(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        for name, value in service.environment.items():
            text = written_value(service, name)
            path = service.path("environment", name)
            if is_secret(name) and is_given(value, text):
                how = shown_secret(text) if text else "is in the environment"
                yield RawFinding(path, f"{service.name}: {name} {how}")
            elif password_in(text) or password_in(value):
                how = shown_secret(password_in(text) or "$")
                yield RawFinding(
                    path, f"{service.name}: the password inside {name} {how}"
                )


def is_given(value: str, text: str) -> bool:
    """Say whether a secret is set: to a text, or to a variable that may be empty."""
    return is_secret_value(value) or (not value and "$" in text)


@rule(
    "well-known-password",
    "warning",
    "A password is one that everybody tries first.",
    why="`postgres`, `admin` or `changeme` keeps out nobody. It is an error where the "
    "service publishes a port on every address of the host.",
    source="the lists that scanners of open databases use; the images' own pages",
    repair="Generate one, and mount it with `secrets:`.",
)
def well_known_password(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        for name in service.environment:
            written = written_value(service, name) or extended_value(service, name)
            value = literal_part(written)
            password = value if is_password(name) else password_in(value)
            if is_secret_value(password) and is_well_known(password):
                yield RawFinding(
                    service.path("environment", name),
                    f"{service.name}: {name} has a password that everybody knows",
                    "error" if service.store and open_ports(service) else "",
                )


@rule(
    "secret-in-build",
    "error",
    "A secret is a build argument, or set in a Dockerfile.",
    why="`docker history` shows it to everybody who has the image, for ever.",
    source="BuildKit check SecretsUsedInArgOrEnv; docs.docker.com, Build secrets",
    repair="`RUN --mount=type=secret` with `build.secrets`.",
    needs=("model", "dockerfile"),
)
def secret_in_build(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        kept = declared_in(service)
        given = service.get("build", "args", default={})
        for name, value in given.items():
            text = written_value(service, name, "build.args")
            secret = is_secret(name) and is_given(str(value or ""), text)
            unknown = service.build is None
            if secret and (unknown or name in kept):
                probably = "probably " if unknown else ""
                yield RawFinding(
                    service.path("build", "args", name),
                    f"{service.name}: build argument {name} {probably}stays in the "
                    "image",
                    "warning" if unknown else "",
                )
        if service.build is not None:
            yield from set_in_dockerfile(service, service.build, given)


def declared_in(service: Service) -> set[str]:
    """Return the build arguments that the stages of the image itself declare."""
    return {
        name
        for stage in service.stages
        for instruction in stage.every("ARG")
        for name, _ in assignments(instruction)
    }


def set_in_dockerfile(
    service: Service, build: Build, given: Mapping[str, object]
) -> Iterator[RawFinding]:
    """Yield secrets that the image's own stages set; an unset ARG only invites one."""
    for stage in service.stages:
        for instruction in stage.every("ENV", "ARG"):
            for name, value in assignments(instruction):
                if not is_secret(name) or name in given:
                    continue
                where = f"{instruction.keyword} {name}"
                hit = at(
                    service, build, instruction.line, f"{where} stays in the image"
                )
                if value is None:
                    message = f"{where} invites a secret that stays in the image"
                    yield replace(hit, message=message, severity="warning")
                elif is_secret_value(value) and not is_placeholder(value):
                    yield hit


def is_placeholder(value: str) -> bool:
    """Say whether a value of a build only fills a place: `dummy`, `<token>`."""
    return bool(
        re.search(
            r"dummy|placeholder|change|example|build|fake|not.?used|your|<.*>|xxx|none",
            value,
            re.IGNORECASE,
        )
    )


@rule(
    "secret-baked",
    "error",
    "A secret or an environment file would be copied into the image.",
    why="`COPY . .` takes everything that `.dockerignore` does not name: `.env`, keys "
    "and backups are then in every copy of the image.",
    source="run on BuildKit of Engine 26.1.5",
    repair="Start `.dockerignore` with `*` and name what enters.",
    needs=("model", "dockerfile"),
)
def secret_baked(subject: LintTarget) -> Iterator[RawFinding]:
    expected = expected_secrets(subject)
    for service, build in built(subject):
        if service.stage is None:
            continue
        later = [
            name for name in expected_in(build, expected) if name not in build.there
        ]
        for names, severity in ((sorted(build.there), ""), (later, "warning")):
            lines: dict[int, list[str]] = {}
            for name in names:
                for one in baked(
                    build.dockerfile, service.stage, name, build.ignore or ()
                ):
                    lines.setdefault(one.line, []).append(name)
                    break
            for line, taken in lines.items():
                words = "takes in" if not severity else "would probably take in"
                hit = at(
                    service,
                    build,
                    line,
                    f"{service.name}'s image {words} {', '.join(taken)}",
                )
                yield replace(hit, severity=severity)


def expected_secrets(subject: LintTarget) -> list[str]:
    """Return the absolute paths of files with secrets that will be there some day."""
    named = [
        str((spec or {}).get("file") or "")
        for spec in (subject.model.get("secrets") or {}).values()
    ]
    if subject.example is not None:
        named.append(str(subject.example.path.parent / ".env"))
    for document in subject.documents:
        for service in document.services().values():
            listed = service.at("env_file")
            for node in (listed.items() or (listed,)) if listed is not None else ():
                path = node.at("path") or node
                if path.text() and "$" not in path.text():
                    named.append(str(document.path.parent / path.text()))
    return [one for one in dict.fromkeys(named) if one]


def expected_in(build: Build, files: list[str]) -> Iterator[str]:
    """Yield those of the files that lie in a build's context, as it names them."""
    start = f"{build.context}/"
    for name in files if build.present else ():
        if name.startswith(start) and ".example" not in name:
            yield name.removeprefix(start).removeprefix("./")
