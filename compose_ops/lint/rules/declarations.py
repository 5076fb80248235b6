"""What Compose itself refuses, and what is declared and never used, or used and not."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from compose_ops.lint.composefile import Node, Step
from compose_ops.lint.finding import RawFinding
from compose_ops.lint.registry import rule
from compose_ops.lint.target import LintTarget

KINDS = ("networks", "volumes", "secrets", "configs")
Uses = dict[tuple[str, str], tuple[Step, ...]]


@rule(
    "refused-by-compose",
    "error",
    "Compose refuses these files together.",
    why="Nothing starts at all, whatever service is asked for.",
    source="`docker compose config` of the same files",
    repair="Do what Compose says; the finding beside this one may name the fault.",
    acceptable=False,
    needs=("files",),
)
def refused_by_compose(subject: LintTarget) -> Iterator[RawFinding]:
    for path, words in subject.refusals:
        plain = words.replace(f"{subject.root}/", "")
        message = f"Compose refuses {subject.name}: {plain}"
        line = re.search(r"\bline (\d+):", words)
        files = [one.path for one in subject.documents]
        if line and not path and len(files) == 1:
            yield RawFinding(path, message, "", files[0], int(line[1]))
        else:
            yield RawFinding(path, message)


def uses(subject: LintTarget) -> Uses:
    """Return every network, volume, secret and config that a service names."""
    found: Uses = {}
    for document in subject.documents:
        services = document.root.at("services") or Node(1, {})
        for name, service in services.members().items():
            for kind in KINDS:
                for step, used in named_in(service.at(kind), kind):
                    found[kind, used] = ("services", name, kind, step)
            if not (service.at("networks") or service.at("network_mode")):
                found.setdefault(("networks", "default"), ("services", name))
            for step, used in named_in(
                (service.at("build") or service).at("secrets"), "secrets"
            ):
                found.setdefault(("secrets", used), ("services", name, "build", step))
    return found


def named_in(node: Node | None, kind: str) -> Iterator[tuple[Step, str]]:
    """Yield the names in a service's list or mapping, each with its step."""
    if node is None or node.tag == "!reset":
        return
    for name in node.members():
        yield name, name
    for index, item in enumerate(node.items()):
        source = item.at("source")
        text = source.text() if source is not None else item.text()
        if kind != "volumes" or (
            source is not None and (item.at("type") or item).text() in {"volume", ""}
        ):
            yield index, text
        elif source is None and ":" in text and text[0] not in "./~$":
            yield index, text.split(":")[0]


def declared(subject: LintTarget) -> Uses:
    """Return what is declared at the top level, as the documents write it."""
    found: Uses = {}
    for document in subject.documents:
        for kind in KINDS:
            for name in (document.root.at(kind) or Node(1, {})).members():
                found[kind, name] = (kind, name)
    return found


@rule(
    "declared-unused",
    "warning",
    "A network, volume, secret or config is declared and nobody uses it.",
    why="Compose drops it in silence: what looks like a separate network or a kept "
    "volume is not there.",
    source="run on Compose 2.26.1: `config` leaves it out",
    repair="Use it or delete it.",
)
def declared_unused(subject: LintTarget) -> Iterator[RawFinding]:
    used = set(used_in_model(subject) if subject.services else uses(subject))
    for model in subject.others:
        used.update(used_in_model(replace(subject, model=model)))
    used |= {(kind, name) for kind in KINDS for name in maybe_used(subject, kind)}
    for (kind, name), path in declared(subject).items():
        if (kind, name) not in used:
            yield RawFinding(
                path, f"{kind.removesuffix('s')} {name} is used by no service"
            )


def maybe_used(subject: LintTarget, kind: str) -> set[str]:
    """Return the words inside variables' defaults, where services name a kind."""
    found: set[str] = set()
    for document in subject.documents:
        for service in document.services().values():
            for _, node in (service.at(kind) or Node(1, ())).walk():
                if "$" in node.text():
                    found.update(re.findall(r"[\w.-]+", node.text()))
                    found.update(re.findall(r"[:?-]([\w.][\w.-]*)", node.text()))
    return found


def used_in_model(subject: LintTarget) -> Iterator[tuple[str, str]]:
    """Yield what services use after merging, `extends` included."""
    for service in subject.services:
        yield from (("networks", name) for name in service.networks)
        yield from (
            ("volumes", str(v.get("source"))) for v in service.volumes("volume")
        )
        for kind, listed in (
            ("secrets", service.get("secrets", default=[])),
            ("configs", service.get("configs", default=[])),
            ("secrets", service.get("build", "secrets", default=[])),
        ):
            for item in listed:
                yield kind, str(item.get("source") if isinstance(item, dict) else item)


@rule(
    "used-undeclared",
    "error",
    "A service uses a network, volume, secret or config that is not declared.",
    why="Compose refuses the file: `refers to undefined network`.",
    source="run on Compose 2.26.1: exit code 15",
    repair="Declare it at the top level, or correct the name.",
)
def used_undeclared(subject: LintTarget) -> Iterator[RawFinding]:
    known = set(declared(subject)) | {("networks", "default")}
    merged = defaultdict(str, dict.fromkeys(used_in_model(subject), ""))
    for (kind, name), path in uses(subject).items():
        still_there = subject.refusals or (kind, name) in merged
        if (kind, name) not in known and still_there and "$" not in name:
            yield RawFinding(
                path, f"{kind.removesuffix('s')} {name} is declared nowhere"
            )
