"""A container or a command in one that lines and bytes are exchanged with."""

import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import IO

from compose_ops.docker import failure, process
from compose_ops.docker.api import QUICK_TIMEOUT, SILENCE_TIMEOUT, RunSpec
from compose_ops.docker.command_line import CommandLine
from compose_ops.docker.lines import EndedError, Lines, lines_of
from compose_ops.docker.run_arguments import named, run_arguments
from compose_ops.errors import ComposeOpsError, EngineError

SECONDS_TO_END = 10.0
BLOCK = 1 << 20
_REFUSALS = ("docker: ", "Error response from daemon", "Cannot connect to the Docker")


@dataclass
class Conversation:
    """Both ends of a docker client's pipes; `errors` is None where it brings lines."""

    client: "subprocess.Popen[bytes]"
    lines: Lines
    errors: IO[bytes] | None
    last: str = field(default="", repr=False)

    def send(self, line: str) -> None:
        self._write(line.encode() + b"\n")

    def send_bytes(self, source: IO[bytes], size: int) -> None:
        left = size
        while left:
            block = source.read(min(BLOCK, left))
            if not block:
                raise EngineError(f"the data to send ended {left} bytes too early")
            self._write(block)
            left -= len(block)

    def receive(self, timeout: float = SILENCE_TIMEOUT) -> str:
        try:
            line = self.lines.next(timeout)
        except EndedError:
            raise self._ended() from None
        if line is None:
            raise EngineError(f"the helper said nothing for {timeout:g} s")
        self.last = line.decode(errors="replace")
        if self.errors is None and self.last.startswith(_REFUSALS):
            raise self._ended()
        return self.last

    def _write(self, data: bytes) -> None:
        if self.client.stdin is None:
            raise self._ended()
        left = memoryview(data)
        try:
            while left:
                left = left[self.client.stdin.write(left) :]
        except (BrokenPipeError, ValueError):
            raise self._ended() from None

    def _ended(self) -> ComposeOpsError:
        """Return what is known of an end that nobody asked for."""
        with suppress(subprocess.TimeoutExpired):
            self.client.wait(SECONDS_TO_END)
        words = self._words()
        if words.startswith(_REFUSALS):
            code = self.client.returncode
            return failure.failure(code or 1, words, ())
        if (self.client.returncode or 0) < 0:
            return failure.failure(self.client.returncode, words, ())
        last = (words.strip().splitlines() or ["no output"])[-1]
        return EngineError(
            f"the helper exited unexpectedly ({last})",
            hint="was the engine restarted? run the command again",
        )

    def _words(self) -> str:
        if self.errors is None:
            return self.last
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")


class InteractiveRequests(CommandLine):
    @contextmanager
    def run_interactive(
        self, spec: RunSpec, *, output: IO[bytes] | None = None
    ) -> Iterator[Conversation]:
        spec = replace(spec, name=spec.name or f"compose-ops-run-{uuid.uuid4().hex}")
        argv = self.command(*run_arguments(spec, interactive=True))
        values = named(spec.environment)[1]
        code: int | None = None
        try:
            with self._conversation(argv, values, output) as talk:
                yield talk
            code = talk.client.returncode
        finally:
            if code != 0:
                self.docker("rm", "--force", spec.name, timeout=QUICK_TIMEOUT)

    @contextmanager
    def exec_interactive(
        self,
        container: str,
        command: Sequence[str],
        *,
        user: str = "",
        environment: Mapping[str, str] | None = None,
        output: IO[bytes] | None = None,
    ) -> Iterator[Conversation]:
        flags, values = named(environment or {})
        flags = [*flags, *(["--user", user] if user else [])]
        argv = self.command("exec", "--interactive", *flags, container, *command)
        with self._conversation(argv, values, output) as talk:
            yield talk

    @contextmanager
    def _conversation(
        self, argv: Sequence[str], values: Mapping[str, str], output: IO[bytes] | None
    ) -> Iterator[Conversation]:
        process.shown(argv, values, self.echo)
        with tempfile.TemporaryFile() as errors:
            client = process.begin(
                argv,
                values,
                stdin=subprocess.PIPE,
                stdout=output or subprocess.PIPE,
                stderr=subprocess.PIPE if output else errors,
                bufsize=0,  # closed while another thread writes, it would wait
            )
            try:
                pipe = client.stderr if output else client.stdout
                if pipe is None:
                    raise EngineError("docker gave no output")
                with lines_of(pipe) as lines:
                    yield Conversation(client, lines, None if output else errors)
            finally:
                _end(client)


def _end(client: "subprocess.Popen[bytes]") -> None:
    """Let what runs see the end of its standard input, and wait; end it if late."""
    if client.stdin is not None:
        with suppress(OSError, ValueError):
            client.stdin.close()
    until = time.monotonic() + SECONDS_TO_END
    with suppress(subprocess.TimeoutExpired):
        client.wait(max(until - time.monotonic(), 0))
    process.end(client)
