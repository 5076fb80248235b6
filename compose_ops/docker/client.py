"""The adapter: the only place that imports python-on-whales and runs docker."""

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from json import loads
from pathlib import Path

from compose_ops.docker import parse
from compose_ops.docker import plugins as versions
from compose_ops.docker.api import EngineInfo
from compose_ops.docker.compose import ComposeVerbs
from compose_ops.docker.containers import ContainerVerbs
from compose_ops.docker.context import plugin
from compose_ops.docker.interactive import ConversationVerbs
from compose_ops.docker.resources import ResourceVerbs
from compose_ops.docker.socket import RefusedError

__all__ = ["DockerEngine"]

PLUGIN_SECONDS = 5.0
PLUGINS = ("compose", "buildx")


class DockerEngine(ComposeVerbs, ContainerVerbs, ConversationVerbs, ResourceVerbs):
    """An `Engine` that speaks to a real daemon through the docker client."""

    def info(self) -> EngineInfo:
        begun = time.time()
        try:
            found = self.daemon.info()
        except RefusedError:
            output = self.checked(
                "info", "--format", "{{json .}}", timeout=self.patience
            )
            found = loads(output.stdout)
        return replace(parse.info(found), seen=(begun, time.time()))

    def plugins(self) -> dict[str, str]:
        files = {name: plugin(name, os.environ) for name in PLUGINS}
        if all(files.values()):
            return self._known(files) or self._asked(files)
        words = ("info", "--format", "{{json .ClientInfo}}")
        output = self.checked(*words, timeout=PLUGIN_SECONDS)
        return {
            one["Name"]: "" if one.get("Err") else one.get("Version", "")
            for one in loads(output.stdout).get("Plugins") or ()
        }

    def _known(self, files: Mapping[str, str]) -> dict[str, str]:
        return versions.known(self.plugins_file, files) if self.plugins_file else {}

    def _asked(self, files: Mapping[str, str]) -> dict[str, str]:
        for name in files:
            self.echo(["docker", name, "version"])
        found = versions.ask(files)
        if self.plugins_file and not self.read_only:
            versions.keep(self.plugins_file, files, found)
        return found

    def started(self) -> str:
        """Return when the engine made its default bridge, which each start does."""
        found = self.inspect("network", ["bridge"])
        return str(found[0].get("Created", "")) if found else ""

    def other(self, file: Path, project: str) -> "DockerEngine":
        return DockerEngine(
            files=[file],
            project=project,
            directory=self.directory,
            host=self.host,
            echo=self.echo,
        )
