"""Requests by python-on-whales: Compose's verbs; networks, volumes and images."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from compose_ops.docker import process, whales
from compose_ops.docker.api import BUILD_TIMEOUT, CHANGE_TIMEOUT, QUICK_TIMEOUT, Output
from compose_ops.docker.command_line import CommandLine

if TYPE_CHECKING:
    from python_on_whales import DockerClient

T = TypeVar("T")


class ComposeRequests(CommandLine):
    @cached_property
    def whales(self) -> "DockerClient":
        return whales.client(
            compose_files=list(self.files),
            compose_project_name=self.project,
            compose_project_directory=self.directory,
            compose_env_files=list(self.env_files),
            host=self.host,
        )

    def preload(self) -> None:
        _ = self.whales

    def call(
        self,
        action: Callable[["DockerClient"], T],
        *,
        timeout: float,
        environment: Mapping[str, str] | None = None,
    ) -> T:
        """Do *action* on the client within *timeout* seconds; EngineError otherwise."""
        limits = whales.Limits(timeout, environment or {}, self.echo)
        return whales.call(self.whales, action, limits)

    def up(
        self,
        services: Iterable[str] = (),
        *,
        build: bool = False,
        start: bool = True,
        dependencies: bool = True,
        recreate: str = "changed",
        scale: Mapping[str, int] | None = None,
    ) -> None:
        self.call(
            lambda docker: docker.compose.up(
                list(services) or None,
                build=build,
                detach=start,
                start=start,
                dependencies=dependencies,
                recreate=recreate != "never",
                force_recreate=recreate == "always",
                scales=dict(scale or {}),
                quiet=True,
            ),
            timeout=BUILD_TIMEOUT,
            environment=self.environment,
        )

    def run_service(
        self, service: str, command: Sequence[str], *, name: str, timeout: float
    ) -> Output:
        words = ("run", "--rm", "--no-deps", "--no-TTY", "--quiet-pull", "--name", name)
        argv = self.compose_command(*words, service, *command)
        return process.run(
            argv, echo=self.echo, environment=self.environment, timeout=timeout
        )

    def build(
        self, services: Iterable[str] = (), *, cache: bool = True, pull: bool = False
    ) -> None:
        self.call(
            lambda docker: docker.compose.build(
                list(services) or None, cache=cache, pull=pull, quiet=True
            ),
            timeout=BUILD_TIMEOUT,
            environment=self.environment,
        )

    def down(self, *, volumes: bool = False) -> None:
        self.call(
            lambda docker: docker.compose.down(
                remove_orphans=True, volumes=volumes, quiet=True
            ),
            timeout=CHANGE_TIMEOUT,
            environment=self.environment,
        )

    def remove_network(self, name: str) -> None:
        self.call(lambda docker: docker.network.remove(name), timeout=QUICK_TIMEOUT)

    def tag(self, image: str, tag: str) -> None:
        self.call(lambda docker: docker.image.tag(image, tag), timeout=QUICK_TIMEOUT)

    def remove_image(self, reference: str) -> None:
        self.call(lambda docker: docker.image.remove(reference), timeout=QUICK_TIMEOUT)
