"""The python-on-whales client of one stack, and the commands it has no method for."""

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from compose_ops.docker import process
from compose_ops.docker.api import TIMEOUT, Echo, Output
from compose_ops.docker.context import plugin, socket_of
from compose_ops.docker.socket import Daemon, RefusedError

if TYPE_CHECKING:
    from python_on_whales import DockerClient

T = TypeVar("T")

CONFIG_SECONDS = 60.0
"""To merge files takes 0.1 s; this ends a client that hangs."""
_NO_COLLECTOR = f"GOGC={os.environ.get('GOGC', 'off')}"
"""A merge ends before the memory is worth searching; that takes a third of its time."""

# How Docker says that what is asked about is not there, each noun in its own words.
_GONE = re.compile(r"no such|network \S+ not found", re.IGNORECASE)


def silent(_argv: Sequence[str]) -> None:
    """Say nothing: the command is shown as it would be typed."""


class Client:
    """
    Holds the compose files, the project and the environment that every command gets.

    Assignments go in front of the command through `env`, so that what `--echo` prints
    can be typed again as it stands. *plugins_file* is a file of what plugins said of
    themselves before; with *read_only* nothing is added to it.
    """

    def __init__(
        self,
        *,
        files: Sequence[Path] = (),
        project: str | None = None,
        directory: Path | None = None,
        env_files: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None,
        host: str | None = None,
        echo: Echo = lambda _argv: None,
        patience: float = TIMEOUT,
        plugins_file: Path | None = None,
        read_only: bool = False,
    ) -> None:
        self.files = tuple(files)
        self.project = project
        self.directory = directory
        self.env_files = tuple(env_files)
        self.environment = dict(environment or {})
        self.host = host
        self.echo = echo
        self.patience = patience
        self.plugins_file = plugins_file
        self.read_only = read_only

    @cached_property
    def whales(self) -> "DockerClient":
        from python_on_whales import DockerClient

        return DockerClient(
            client_call=self.client_call(),
            compose_files=list(self.files),
            compose_project_name=self.project,
            compose_project_directory=self.directory,
            compose_env_files=list(self.env_files),
            host=self.host,
        )

    @property
    def daemon(self) -> Daemon:
        """The engine's own socket, without a docker process in between."""
        path = socket_of(self.host, os.environ)
        return Daemon(path, self.echo, self.patience)

    def preload(self) -> None:
        """Load python-on-whales, which takes 0.3 s."""
        _ = self.whales

    def call(self, action: Callable[["DockerClient"], T]) -> T:
        """Do *action* on the client; Docker's refusal comes back as an EngineError."""
        from python_on_whales import DockerException

        try:
            return action(self.whales)
        except DockerException as refused:
            raise process.failure(
                refused.return_code,
                refused.stderr or refused.stdout or "",
                [str(word) for word in refused.docker_command],
            ) from refused

    def client_call(self) -> list[str]:
        if shutil.which("docker") is None:
            raise process.no_client()
        assignments = [f"{name}={value}" for name, value in self.environment.items()]
        return ["env", *assignments, "docker"] if assignments else ["docker"]

    def docker_command(self, *arguments: str) -> list[str]:
        """Return argv without python-on-whales: to import it takes 0.3 s."""
        host = ["--host", self.host] if self.host else []
        return [*self.client_call(), *host, *arguments]

    def compose_command(self, *arguments: str) -> list[str]:
        pairs = [
            *(("--file", str(file)) for file in self.files),
            *(("--env-file", str(file)) for file in self.env_files),
            *([("--project-name", self.project)] if self.project else []),
            *([("--project-directory", str(self.directory))] if self.directory else []),
        ]
        flags = [word for pair in pairs for word in pair]
        return self.docker_command("compose", *flags, *arguments)

    def docker(self, *arguments: str, timeout: float | None = None) -> Output:
        return process.run(
            self.docker_command(*arguments), echo=self.echo, timeout=timeout
        )

    def checked(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        timeout: float | None = None,
    ) -> Output:
        argv = self.docker_command(*arguments)
        output = process.run(argv, echo=self.echo, stdin=stdin, timeout=timeout)
        return process.check(output, argv)

    def merged(self, *arguments: str) -> str:
        """
        Return what `docker compose config` prints with these flags.

        It needs no engine: the plugin is run without docker in front of it, which
        reads every plugin's description first (30 to 40 ms).
        """
        argv = self.compose_command("config", *arguments)
        self.echo(argv)
        before, after = self.client_call()[:-1], argv[argv.index("compose") + 1 :]
        file = plugin("compose", os.environ)
        direct = [*(before or ["env"]), _NO_COLLECTOR, file, *after] if file else argv
        output = process.run(direct, echo=silent, timeout=CONFIG_SECONDS)
        return process.check(output, argv).stdout

    def compose(self, *arguments: str, timeout: float | None = None) -> Output:
        argv = self.compose_command(*arguments)
        output = process.run(argv, echo=self.echo, timeout=timeout)
        return process.check(output, argv)

    def act(
        self,
        words: Sequence[str],
        target: str,
        body: Mapping[str, Any] | None = None,
    ) -> None:
        """Do what `docker WORDS` does, through the socket where that is possible."""
        try:
            self.daemon.act(["docker", *words], target, body)
        except RefusedError:
            self.checked(*words)

    def inspect(self, noun: str, names: Sequence[str]) -> list[dict[str, Any]]:
        """Inspect what is still there of *names*; what is gone is left out."""
        if not names:
            return []
        with suppress(RefusedError):
            return self.daemon.inspected(noun, names)
        output = self.docker(noun, "inspect", *names)
        if output.code != 0 and not _GONE.search(output.stderr):
            process.check(output, self.docker_command(noun, "inspect"))
        found: list[dict[str, Any]] = loads(output.stdout or "[]")
        return found

    def listed(self, noun: str, filters: Sequence[str]) -> list[dict[str, Any]]:
        """Inspect all such objects, by `docker NOUN ls --filter` values."""
        try:
            found = self.daemon.listed(noun, filters)
        except RefusedError:
            flags = [word for value in filters for word in ("--filter", value)]
            every = ["--all", "--no-trunc"] if noun == "container" else []
            words = (noun, "ls", *every, "--quiet", *flags)
            names = self.checked(*words, timeout=self.patience).stdout.split()
            return self.inspect(noun, names)
        if noun != "container":
            return found
        return self.inspect(noun, [one["Id"] for one in found])
