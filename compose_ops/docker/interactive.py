"""A one-off container that is spoken to line by line."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from compose_ops.docker import process
from compose_ops.docker.api import RunSpec
from compose_ops.docker.base import Client
from compose_ops.docker.containers import run_arguments
from compose_ops.errors import EngineError

SECONDS_TO_END = 10.0


@dataclass
class Lines:
    """Both ends of the container's terminal-less stdin and stdout."""

    process: subprocess.Popen[str]
    errors: IO[str]
    argv: Sequence[str]

    def say(self, line: str) -> None:
        if self.process.stdin is None:
            raise self._gone()
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._gone() from None

    def receive(self) -> str:
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise self._gone()
        return line

    def _gone(self) -> EngineError:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(SECONDS_TO_END)
        self.errors.seek(0)
        words = self.errors.read()
        if words.startswith("docker:"):
            return EngineError(
                f"docker refused the helper container: {words.strip()}",
                hint="invoke doctor looks for the cause",
            )
        last = (words.strip().splitlines() or ["no word of it"])[-1]
        return EngineError(
            f"the helper container ended in the middle: {last}",
            hint="was the engine restarted? run the command again",
        )


class ConversationVerbs(Client):
    @contextmanager
    def run_interactive(self, spec: RunSpec) -> Iterator[Lines]:
        """Speak to a container until the block ends; then it is gone."""
        run, *rest = run_arguments(spec)
        argv = self.docker_command(run, "--interactive", *rest)
        self.echo(argv)
        with tempfile.TemporaryFile("w+", errors="replace") as errors:
            talk = Lines(_begin(argv, errors), errors, argv)
            try:
                yield talk
            finally:
                _end(talk.process)
                if talk.process.returncode != 0 and spec.name:
                    self.docker("rm", "--force", spec.name)

    @contextmanager
    def exec_interactive(
        self,
        container: str,
        command: Sequence[str],
        *,
        user: str = "",
        environment: Sequence[str] = (),
    ) -> Iterator[Lines]:
        """Speak to a command in a container until the block ends."""
        words = [word for text in environment for word in ("--env", text)]
        words += ["--user", user] if user else []
        argv = self.docker_command("exec", "--interactive", *words, container)
        self.echo([*argv, *command])
        with tempfile.TemporaryFile("w+", errors="replace") as errors:
            talk = Lines(_begin([*argv, *command], errors), errors, argv)
            try:
                yield talk
            finally:
                _end(talk.process)


def _begin(argv: Sequence[str], errors: IO[str]) -> subprocess.Popen[str]:
    """Start the client in a session of its own: Ctrl-C is for the task alone."""
    try:
        return subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    except FileNotFoundError as missing:
        raise process.no_client() from missing


def _end(talk: subprocess.Popen[str]) -> None:
    """Let the container see the end of its stdin, and wait; kill the client if late."""
    if talk.stdin is not None:
        with suppress(BrokenPipeError):
            talk.stdin.close()
    try:
        talk.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        talk.kill()
        talk.wait()
    if talk.stdout is not None:
        talk.stdout.close()
