"""
Ask Compose for the merged model of any set of files, also of one that it refuses.

Compose names one fault and prints nothing. To judge the rest of such files, what was
refused is taken out by one more override, the model asked for again, and the part put
back as the files write it; the refusal is kept beside the model.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from compose_ops.docker.api import Output
from compose_ops.lint.composefile import Document, Node

Docker = Callable[..., Output]
"""`Engine.docker`: runs a docker command, captured, without raising for its code."""

ATTEMPTS = 12
NOISE = re.compile(r"level=warning|attribute `version` is obsolete")
DEVICES = ("deploy", "resources", "reservations", "devices")


@dataclass(frozen=True, slots=True)
class Merged:
    """
    The merged model, and each refusal as the path of its fault and Compose's words.

    The model is empty when Compose refuses the files for a reason not known here.
    """

    model: dict[str, Any]
    refusals: tuple[tuple[tuple[str, ...], str], ...] = ()


@dataclass(slots=True)
class Repairs:
    """What was taken out or added so that Compose prints a model."""

    names: list[str] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)
    env_files: list[str] = field(default_factory=list)
    declared: list[tuple[str, str]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """Write what is needed; return compose files and environment files to add."""
        extra, variables = folder / "repair.yml", folder / "variables.env"
        lines = [f"{key}={value}\n" for key, value in self.variables.items()]
        variables.write_text("".join(lines), encoding="utf-8")
        text = json.dumps(self.sections())
        extra.write_text(RESET.sub(r"!reset \1", text), encoding="utf-8")
        return [extra] if self.sections() else [], [variables] if lines else []

    def sections(self) -> dict[str, Any]:
        """Return a compose file that takes the faults out, resets still as text."""
        services: dict[str, Any] = {}
        for name in self.names:
            services.setdefault(name, {})["container_name"] = "!reset null"
        for name in self.env_files:
            services.setdefault(name, {})["env_file"] = "!reset []"
        for name in self.devices:
            reservations = {"reservations": {"devices": "!reset []"}}
            services.setdefault(name, {})["deploy"] = {"resources": reservations}
        found: dict[str, Any] = {"services": services} if services else {}
        for kind, name in self.declared:
            from_file = kind in {"secrets", "configs"}
            found.setdefault(kind, {})[name] = {"file": "./none"} if from_file else {}
        return found


RESET = re.compile(r'"!reset (null|\[\])"')
"""A reset in JSON, which is YAML but for the tag."""


def merge(
    documents: Sequence[Document],
    files: Sequence[Path],
    *,
    directory: Path,
    docker: Docker,
    env_files: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
) -> Merged:
    """
    Return the merged model of *files*, all profiles on.

    *documents* are the same files as read; *environment* goes over *env_files*.
    Raises EngineUnavailable when there is no docker client with Compose.
    """
    repairs = Repairs(variables=dict(environment or {}))
    refusals: list[tuple[tuple[str, ...], str]] = []
    with TemporaryDirectory() as scratch:
        for _ in range(ATTEMPTS):
            more_files, more_variables = repairs.write(Path(scratch))
            used = [*files, *more_files]
            output = ask(docker, used, directory, [*env_files, *more_variables])
            if output.code == 0:
                model = json.loads(output.stdout)
                return Merged(put_back(model, repairs, documents), tuple(refusals))
            words = last_line(output)
            found = understand(words, repairs, documents)
            if found != SILENT:
                refusals.append((found or (), words))
            if found is None:
                break
    return Merged({}, tuple(refusals))


SILENT: tuple[str, ...] = ("",)
"""The path of a fault of the machine, not of the files: an unset variable."""


def ask(
    docker: Docker, files: Sequence[Path], directory: Path, env_files: Sequence[Path]
) -> Output:
    arguments = ["compose", "--project-directory", str(directory), "--profile", "*"]
    for env_file in env_files:
        arguments += ["--env-file", str(env_file)]
    for file in files:
        arguments += ["--file", str(file)]
    return docker(*arguments, "config", "--format", "json")


def last_line(output: Output) -> str:
    lines = [
        line for line in output.stderr.splitlines() if line and not NOISE.search(line)
    ]
    return lines[-1] if lines else f"exit code {output.code}"


def understand(
    words: str, repairs: Repairs, documents: Sequence[Document]
) -> tuple[str, ...] | None:
    """Note how to get past a refusal and return its path; None when that is unknown."""
    if match := re.search(
        r"can't set container_name and (\S+) as container name", words
    ):
        repairs.names.append(match[1])
        return ("services", match[1], "container_name")
    if match := re.match(r"services\.([^:]+?)\.deploy\..*devices.*exclusive", words):
        repairs.devices.append(match[1])
        return ("services", match[1], *DEVICES)
    pattern = (
        r"service \"(\S+)\" refers to undefined (network|volume|secret|config) (\S+?):"
    )
    if match := re.search(pattern, words):
        repairs.declared.append((f"{match[2]}s", match[3]))
        return ("services", match[1], f"{match[2]}s", match[3])
    if match := re.search(r"required variable (\w+) is missing a value", words):
        repairs.variables[match[1]] = "unset"
        return SILENT
    if re.search(r"env file .* not found", words) and not repairs.env_files:
        repairs.env_files += with_env_file(documents)
        return SILENT
    return None


def with_env_file(documents: Sequence[Document]) -> list[str]:
    return [
        name
        for document in documents
        for name, service in (document.root.at("services") or Node(1, {}))
        .members()
        .items()
        if service.at("env_file") is not None
    ]


def put_back(
    model: dict[str, Any], repairs: Repairs, documents: Sequence[Document]
) -> dict[str, Any]:
    """Return the model with the refused parts as the files write them."""
    services = model.get("services") or {}
    for name in repairs.names:
        written = [d.find(("services", name, "container_name")) for d in documents]
        services[name]["container_name"] = [n.text() for n in written if n][-1]
    for name in repairs.devices:
        items = [
            item.plain()
            for document in documents
            for item in (
                document.find(("services", name, *DEVICES)) or Node(1, ())
            ).items()
        ]
        resources = services[name].setdefault("deploy", {}).setdefault("resources", {})
        resources.setdefault("reservations", {})["devices"] = joined(items)
    for kind, name in repairs.declared:
        (model.get(kind) or {}).pop(name, None)
    return model


def joined(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return requests of one file set: a count beside ids is what Compose refused."""
    found = [dict(item) for item in items]
    for item in found:
        if str(item.get("count", "")).isdigit():
            item["count"] = int(item["count"])
    return found
