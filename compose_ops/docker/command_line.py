"""The docker command of one stack: its engine, compose files and environment."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from compose_ops.docker import failure, process
from compose_ops.docker.api import CHANGE_TIMEOUT, TIMEOUT, Echo, Output


class CommandLine:
    """
    Holds the compose files, the project and the environment that every command gets.

    *environment* is what Compose interpolates; it reaches docker as its environment,
    never as an argument. *warn* gets what Compose warns of when it merges the files.
    *timeout* is the seconds that a question may take which the engine answers at once.
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
        warn: Callable[[str], None] = lambda _warning: None,
        timeout: float = TIMEOUT,
    ) -> None:
        self.files = tuple(files)
        self.project = project
        self.directory = directory
        self.env_files = tuple(env_files)
        self.environment = dict(environment or {})
        self.host = host
        self.echo = echo
        self.warn = warn
        self.timeout = timeout

    def command(self, *arguments: str) -> list[str]:
        """Return the argv of a docker command on this engine."""
        host = ["--host", self.host] if self.host else []
        return ["docker", *host, *arguments]

    def compose_command(
        self, *arguments: str, files: Sequence[Path | str] | None = None
    ) -> list[str]:
        """Return the argv of a docker compose command on this project, or *files*."""
        named = self.files if files is None else files
        pairs = [
            *(("--file", str(file)) for file in named),
            *(("--env-file", str(file)) for file in self.env_files),
            *([("--project-name", self.project)] if self.project else []),
            *([("--project-directory", str(self.directory))] if self.directory else []),
        ]
        flags = [word for pair in pairs for word in pair]
        return self.command("compose", *flags, *arguments)

    def docker(self, *arguments: str, timeout: float = CHANGE_TIMEOUT) -> Output:
        """Run a docker command, captured; never raises for its exit code."""
        return process.run(
            self.command(*arguments),
            echo=self.echo,
            environment=self.environment if arguments[:1] == ("compose",) else None,
            timeout=timeout,
        )

    def checked(self, *arguments: str, timeout: float) -> Output:
        """Run a docker command; EngineError when it fails."""
        output = self.docker(*arguments, timeout=timeout)
        return failure.check(output, self.command(*arguments))

    def compose(self, *arguments: str, timeout: float) -> Output:
        """Run a docker compose command of this project; EngineError when it fails."""
        argv = self.compose_command(*arguments)
        output = process.run(
            argv, echo=self.echo, environment=self.environment, timeout=timeout
        )
        return failure.check(output, argv)
