"""The adapter: the only place that imports python-on-whales and runs docker."""

import time
from dataclasses import replace
from json import loads
from pathlib import Path

from jimbot_stack.engine import EngineInfo
from jimbot_stack.errors import EngineUnavailable

from . import parse, process
from .compose import ComposeVerbs
from .containers import ContainerVerbs
from .conversation import ConversationVerbs
from .resources import ResourceVerbs

__all__ = ["WhalesEngine"]


class WhalesEngine(ComposeVerbs, ContainerVerbs, ConversationVerbs, ResourceVerbs):
    """An `Engine` that speaks to a real daemon through the docker client."""

    def info(self) -> EngineInfo:
        begun = time.time()
        output = self.docker("info", "--format", "{{json .}}", timeout=20)
        if output.code == process.TIMED_OUT:
            raise EngineUnavailable(
                "the Docker Engine does not answer within 20 s",
                hint="look at the daemon's log, then start it: ./scripts/engine.sh",
            )
        process.check(output, self.docker_command("info"))
        return replace(parse.info(loads(output.stdout)), seen=(begun, time.time()))

    def started(self) -> str:
        """Return when the engine made its default bridge, which each start does."""
        output = self.docker("network", "inspect", "bridge", "-f", "{{.Created}}")
        return output.stdout.strip() if output.code == 0 else ""

    def other(self, file: Path, project: str) -> "WhalesEngine":
        return WhalesEngine(
            files=[file],
            project=project,
            directory=self.directory,
            host=self.host,
            echo=self.echo,
        )
