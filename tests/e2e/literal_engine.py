"""Throw-away containers, networks, volumes and images, all under one label."""

import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from e2e_scenario import docker, inspected

from compose_ops.docker.api import PROJECT_LABEL

BASE = "localhost/jimbot-base:bookworm"
LABEL = "jimbot.literal"


@dataclass(frozen=True, slots=True)
class Literals:
    """Makes what a test needs on the real engine, and removes all of it."""

    name: str
    folder: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `docker WORDS` and return what it printed and its exit status."""
        return subprocess.run(
            ["docker", *words], capture_output=True, text=True, check=False
        )

    def once(self, *options: str, command: Sequence[str], image: str = BASE) -> Any:
        """Run *command* in a container that is removed when it ends."""
        return self.run("run", "--rm", *self._label, *options, image, *command)

    def start(self, *options: str, command: Sequence[str], image: str = BASE) -> str:
        """Start a container that goes on, and return its id."""
        words = ("run", "--detach", "--init", *self._label, *options, image, *command)
        return docker(*words).strip()

    def network(self, *options: str) -> str:
        """Create a network and return its name."""
        name = f"{self.name}-{uuid.uuid4().hex[:6]}"
        docker("network", "create", *self._label, *options, name)
        return name

    def volume(self) -> str:
        """Create a volume and return its name."""
        return docker("volume", "create", *self._label).strip()

    def build(
        self, dockerfile: str, *options: str, context: Path
    ) -> subprocess.CompletedProcess[str]:
        """Build *dockerfile*, its text, on *context*."""
        (self.folder / "Dockerfile").write_text(dockerfile)
        file = ("--file", str(self.folder / "Dockerfile"))
        return self.run("build", *file, *self._label, *options, str(context))

    def compose(
        self, document: dict[str, Any], *words: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `docker compose WORDS` on *document* as a project of its own."""
        file = self.folder / "compose.yml"
        for service in document["services"].values():
            service.setdefault("labels", {})[LABEL] = self.name
        for network in document.get("networks", {}).values():
            network.setdefault("labels", {})[LABEL] = self.name
        for volume in document.get("volumes", {}).values():
            volume.setdefault("labels", {})[LABEL] = self.name
        file.write_text(yaml.safe_dump(document))
        flags = ("--project-name", self.name, "--file", str(file))
        return self.run("compose", *flags, *words)

    def remove(self) -> None:
        """Remove everything that carries the label, or that Compose made for it."""
        for label in (f"{LABEL}={self.name}", f"{PROJECT_LABEL}={self.name}"):
            self._remove_labelled(label)

    def _remove_labelled(self, label: str) -> None:
        for listing, removal in (
            (("ps", "--all", "--quiet"), ("rm", "--force", "--volumes")),
            (("network", "ls", "--quiet"), ("network", "rm")),
            (("volume", "ls", "--quiet"), ("volume", "rm", "--force")),
            (("image", "ls", "--quiet"), ("image", "rm", "--force")),
        ):
            ids = docker(*listing, "--filter", f"label={label}").split()
            if ids:
                docker(*removal, *sorted(set(ids)), check=False)

    @property
    def _label(self) -> tuple[str, str]:
        return "--label", f"{LABEL}={self.name}"


def container(name: str) -> dict[str, Any]:
    """Return what inspect says of one container."""
    return inspected("container", [name])[0]


def health(name: str) -> str:
    """Return the health that the engine gives a container."""
    return str(container(name)["State"]["Health"]["Status"])
