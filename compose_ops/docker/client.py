"""
The engine behind the docker client: both kinds of request as one `Engine`.

Everything is a docker process, so contexts, `ssh://` and TLS select the engine as for
any other docker command.
"""

from pathlib import Path

from compose_ops.docker.cluster_requests import ClusterRequests
from compose_ops.docker.compose import ComposeRequests
from compose_ops.docker.containers import ContainerRequests
from compose_ops.docker.interactive import InteractiveRequests

__all__ = ["DockerEngine"]


class DockerEngine(
    ComposeRequests, ContainerRequests, InteractiveRequests, ClusterRequests
):
    """An `Engine` that asks a real daemon."""

    def for_project(self, file: Path, project: str) -> "DockerEngine":
        return DockerEngine(
            files=[file],
            project=project,
            directory=self.directory,
            host=self.host,
            echo=self.echo,
            timeout=self.timeout,
        )
