"""
One fault per rule, put into the project's own model or files.

A mutation gets a deep copy of a combination's subject and breaks it the way its rule
forbids; `combination` names the file set that it starts from.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from repository import ROOT

from compose_ops.lint import EnvFile, EnvLine, LintTarget, composefile, dockerfile
from compose_ops.lint.target import Build

Services = dict[str, Any]
Change = Callable[[Services], object]


@dataclass(frozen=True, slots=True)
class Mutation:
    """A fault, the rule that forbids it, and the combination it is put into."""

    rule: str
    apply: Callable[[LintTarget], LintTarget]
    combination: str = "base"


def model(rule: str, change: Change, combination: str = "base") -> Mutation:
    """Return a mutation that changes the model's services in place."""

    def apply(subject: LintTarget) -> LintTarget:
        copied = json.loads(json.dumps(subject.model))
        change(copied["services"])
        return replace(subject, model=copied)

    return Mutation(rule, apply, combination)


def network(rule: str, name: str, spec: Mapping[str, Any]) -> Mutation:
    """Return a mutation that declares one more network, or changes one."""

    def apply(subject: LintTarget) -> LintTarget:
        networks = {
            **subject.networks,
            name: {**subject.networks.get(name, {}), **spec},
        }
        return replace(subject, model={**subject.model, "networks": networks})

    return Mutation(rule, apply)


def text(
    rule: str, file: str, old: str, new: str, combination: str = "base"
) -> Mutation:
    """Return a mutation of a compose file's text; Compose is not asked again."""

    def apply(subject: LintTarget) -> LintTarget:
        before = (ROOT / file).read_text(encoding="utf-8")
        assert old in before, f"{file} has no {old!r}"
        return with_text(subject, file, before.replace(old, new, 1))

    return Mutation(rule, apply, combination)


def with_text(subject: LintTarget, file: str, after: str) -> LintTarget:
    changed = composefile.parse(after, ROOT / file)
    listed = subject.documents
    return replace(
        subject,
        documents=tuple(changed if d.path == changed.path else d for d in listed),
    )


def undeclared(subject: LintTarget) -> LintTarget:
    """Let a service use a volume that nothing declares; Compose refuses that."""
    before = (ROOT / FILE).read_text(encoding="utf-8")
    broken = with_text(subject, FILE, before.replace("- questdb_data:", "- series:"))
    return replace(broken, refusals=((("services", "questdb"), "undefined volume"),))


def unawaited(subject: LintTarget) -> LintTarget:
    """Let the application depend on Memgraph without a condition."""
    before = (ROOT / FILE).read_text(encoding="utf-8")
    old = "      memgraph:\n        condition: service_healthy\n"
    assert old in before
    changed = with_text(subject, FILE, before.replace(old, "      memgraph: {}\n", 1))
    spec = put("app", "depends_on", "memgraph", value={"condition": "service_started"})
    return model("", spec).apply(changed)


def well_known(subject: LintTarget) -> LintTarget:
    """Give the application a password that everybody tries first."""
    before = (ROOT / FILE).read_text(encoding="utf-8")
    old = "      ANTHROPIC_API_KEY: ${ANTHROPIC_API_KEY}\n"
    assert old in before
    new = f"{old}      LEDGER_PASSWORD: changeme\n"
    changed = with_text(subject, FILE, before.replace(old, new, 1))
    spec = put("app", "environment", "LEDGER_PASSWORD", value="changeme")
    return model("", spec).apply(changed)


def unset(rule: str, variable: str) -> Mutation:
    """Return a mutation in which nobody sets a variable, nor names it."""

    def apply(subject: LintTarget) -> LintTarget:
        return replace(subject, unset=frozenset({variable}), example=None)

    return Mutation(rule, apply)


def as_postgres(tag: str, folder: str, service: str = "questdb") -> Change:
    """Return a change that makes a service PostgreSQL with a volume at a folder."""

    def change(services: Services) -> None:
        mount = {"type": "volume", "source": "ledger", "target": folder}
        services[service] |= {"image": f"postgres:{tag}", "volumes": [mount]}

    return change


def image(rule: str, service: str, old: str, new: str) -> Mutation:
    """Return a mutation that changes the text of a service's Dockerfile."""

    def apply(subject: LintTarget) -> LintTarget:
        build = subject.builds[service]
        before = build.dockerfile.path.read_text(encoding="utf-8")
        assert old in before, f"{build.dockerfile.path} has no {old!r}"
        arguments = subject.model["services"][service]["build"].get("args") or {}
        changed = dockerfile.parse(
            before.replace(old, new, 1), build.dockerfile.path, arguments=arguments
        )
        return with_build(subject, service, replace(build, dockerfile=changed))

    return Mutation(rule, apply)


def context(rule: str, service: str, **change: Any) -> Mutation:
    """Return a mutation that changes what a service's build context holds."""

    def apply(subject: LintTarget) -> LintTarget:
        build = replace(subject.builds[service], **change)
        return with_build(subject, service, build)

    return Mutation(rule, apply)


def with_build(subject: LintTarget, service: str, build: Build) -> LintTarget:
    return replace(subject, builds={**subject.builds, service: build})


def example(rule: str, change: Callable[[dict[str, EnvLine]], object]) -> Mutation:
    """Return a mutation of `.env.example`, judged over all files."""

    def apply(subject: LintTarget) -> LintTarget:
        assert subject.example is not None
        lines = dict(subject.example.lines)
        change(lines)
        return replace(subject, example=EnvFile(subject.example.path, lines))

    return Mutation(rule, apply, "all files")


def refused(subject: LintTarget) -> LintTarget:
    """Let Compose refuse the subject, as it does for a key that it does not know."""
    return replace(subject, refusals=((("services", "app"), "not allowed"),), model={})


def accepted(subject: LintTarget) -> LintTarget:
    """Let a service accept what no rule finds there."""
    before = (ROOT / FILE).read_text(encoding="utf-8")
    return with_text(
        subject, FILE, before.replace("secret-in-environment:", "privileged:")
    )


def put(service: str, *steps: str, value: Any) -> Change:
    """Return a change that sets the value at a path of a service."""

    def change(services: Services) -> None:
        spec = services[service]
        for step in steps[:-1]:
            spec = spec.setdefault(step, {})
        spec[steps[-1]] = value

    return change


def without(service: str, *steps: str) -> Change:
    """Return a change that takes away what is at a path of a service."""

    def change(services: Services) -> None:
        spec = services[service]
        for step in steps[:-1]:
            spec = spec[step]
        del spec[steps[-1]]

    return change


def both(*changes: Change) -> Change:
    """Return a change that makes several."""
    return lambda services: [change(services) for change in changes]


def also(service: str, key: str, value: Any) -> Change:
    """Return a change that adds an item to a list of a service."""
    return lambda services: services[service].setdefault(key, []).append(value)


DEVICES = ("deploy", "resources", "reservations", "devices")
RESERVED = ("deploy", "resources", "reservations", "memory")
ONE_GPU = {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
OPEN_PORT = {"target": 8000, "published": "8000", "protocol": "tcp"}
ANY_GPU = {"driver": "nvidia", "capabilities": ["gpu"]}
PLAIN_PROBE = ["CMD", "curl", "-f", "http://localhost:2113/health/live"]
REQUIREMENTS = "docker/services/app/requirements.txt"
ENGINE_SOCKET = {
    "type": "bind",
    "source": "/var/run/docker.sock",
    "target": "/var/run/docker.sock",
}
MISSING_FILE = {
    "type": "bind",
    "source": str(ROOT / "config/not-there.yml"),
    "target": "/app/config/not-there.yml",
}
SUBNET = {"ipam": {"config": [{"subnet": "172.21.0.128/25"}]}}
FILE = "docker-compose.yml"
