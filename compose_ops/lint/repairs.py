"""What is put over files that Compose refuses, so that it prints the rest of them."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compose_ops.lint.composefile import Document, Node

DEVICES = ("deploy", "resources", "reservations", "devices")
RESET = re.compile(r'"!reset (null|\[\])"')
"""A reset in JSON, which is YAML but for the tag."""
UNDEFINED = re.compile(
    r"service \"(\S+)\" refers to undefined (network|volume|secret|config) (\S+?):"
)


@dataclass(slots=True)
class Repairs:
    """What was taken out or added so that Compose prints a model."""

    names: list[str] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)
    env_files: list[str] = field(default_factory=list)
    declared: list[tuple[str, str]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    def note(self, words: str, documents: Sequence[Document]) -> tuple[str, ...] | None:
        """
        Note how to get past a refusal and return its path.

        The path is empty for a fault of this machine, such as an environment file
        that is not there. None when no way is known.
        """
        match = re.search(
            r"can't set container_name and (\S+) as container name", words
        )
        if match and match[1] not in self.names:
            self.names.append(match[1])
            return ("services", match[1], "container_name")
        match = re.match(r"services\.([^:]+?)\.deploy\..*devices.*exclusive", words)
        if match and match[1] not in self.devices:
            self.devices.append(match[1])
            return ("services", match[1], *DEVICES)
        match = UNDEFINED.search(words)
        if match and (f"{match[2]}s", match[3]) not in self.declared:
            self.declared.append((f"{match[2]}s", match[3]))
            return ("services", match[1], f"{match[2]}s", match[3])
        if re.search(r"env file .* not found", words) and not self.env_files:
            self.env_files += with_env_file(documents)
            return ()
        return None

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


def with_env_file(documents: Sequence[Document]) -> list[str]:
    return [
        name
        for document in documents
        for name, service in document.services().items()
        if service.at("env_file") is not None
    ]


def dumped(node: Node) -> str:
    """Return a node as YAML in flow style: JSON, but for tags and plain numbers."""
    if node.value is None:
        text = "null"
    elif isinstance(node.value, dict):
        pairs = (f"{json.dumps(k)}: {dumped(v)}" for k, v in node.value.items())
        text = "{" + ", ".join(pairs) + "}"
    elif isinstance(node.value, tuple):
        text = "[" + ", ".join(dumped(item) for item in node.value) + "]"
    else:
        text = node.text() if node.kind else json.dumps(node.value)
    return f"{node.tag} {text}" if node.tag in {"!reset", "!override"} else text
