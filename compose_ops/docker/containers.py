"""
Requests by the docker client alone: change containers, and run commands in them.

python-on-whales' `exec` takes no standard input and puts values on the command line; it
connects with one alias at most; and a store at rest would wait for its import.
"""

import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from json import loads
from pathlib import Path
from typing import IO

from compose_ops.docker import events, failure, parse, process
from compose_ops.docker.api import (
    CHANGE_TIMEOUT,
    QUICK_TIMEOUT,
    Output,
    RunSpec,
    Usage,
)
from compose_ops.docker.engine import EngineRequests
from compose_ops.docker.run_arguments import (
    bind,
    create_arguments,
    named,
    run_arguments,
)
from compose_ops.errors import EngineError

STATS_TIMEOUT = 60.0
FREEZES, BUSY = 3, "unable to freeze"
"""How often a pause is tried that runc refuses with these words, as under load."""
RUN_FAILED = 125
"""What docker ends with where it could not run what it was to."""


class ContainerRequests(EngineRequests):
    def start(self, *containers: str) -> None:
        self.checked("container", "start", *containers, timeout=CHANGE_TIMEOUT)

    def stop(self, *containers: str, timeout: int | None = None) -> None:
        words = ("container", "stop", *_grace(timeout), *containers)
        self.checked(*words, timeout=CHANGE_TIMEOUT)

    def restart(self, *containers: str, timeout: int | None = None) -> None:
        words = ("container", "restart", *_grace(timeout), *containers)
        self.checked(*words, timeout=CHANGE_TIMEOUT)

    def remove(
        self, *containers: str, force: bool = False, volumes: bool = False
    ) -> None:
        flags = ["--volumes"] * volumes + ["--force"] * force
        self.checked("container", "rm", *flags, *containers, timeout=CHANGE_TIMEOUT)

    def rename(self, container: str, name: str) -> None:
        self.checked("container", "rename", container, name, timeout=QUICK_TIMEOUT)

    def kill(self, container: str, signal: str = "KILL") -> None:
        words = ("container", "kill", "--signal", signal, container)
        self.checked(*words, timeout=QUICK_TIMEOUT)

    def set_restart(self, container: str, policy: str) -> None:
        words = ("container", "update", "--restart", policy, container)
        self.checked(*words, timeout=QUICK_TIMEOUT)

    def pause(self, *containers: str) -> None:
        """Pause containers; where the kernel was too busy to freeze one, try again."""
        left = list(containers)
        for attempt in range(FREEZES):
            try:
                self.checked("container", "pause", *left, timeout=QUICK_TIMEOUT)
            except EngineError as refused:
                words = f"{refused.message} {refused.detail}"
                left = [one for one in left if one in words]
                if BUSY not in words or not left or attempt == FREEZES - 1:
                    raise
            else:
                return

    def unpause(self, *containers: str) -> None:
        self.checked("container", "unpause", *containers, timeout=QUICK_TIMEOUT)

    def connect(
        self, network: str, container: str, *, aliases: Sequence[str] = ()
    ) -> None:
        flags = [word for alias in aliases for word in ("--alias", alias)]
        words = ("network", "connect", *flags, network, container)
        self.checked(*words, timeout=QUICK_TIMEOUT)

    def disconnect(self, network: str, container: str) -> None:
        words = ("network", "disconnect", network, container)
        self.checked(*words, timeout=QUICK_TIMEOUT)

    def create_volume(self, name: str, *, labels: Mapping[str, str]) -> None:
        flags = [
            w for key, value in labels.items() for w in ("--label", f"{key}={value}")
        ]
        self.checked("volume", "create", *flags, name, timeout=QUICK_TIMEOUT)

    def remove_volume(self, name: str) -> None:
        self.checked("volume", "rm", name, timeout=QUICK_TIMEOUT)

    def execute(
        self,
        container: str,
        command: Sequence[str],
        *,
        user: str = "",
        environment: Mapping[str, str] | None = None,
        stdin: bytes | IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        timeout: float,
    ) -> Output:
        flags, values = named(environment or {})
        more = [] if stdin is None else ["--interactive"]
        more += ["--user", user] if user else []
        argv = self.command("exec", *more, *flags, container, *command)
        output = process.run(
            argv,
            echo=self.echo,
            environment=values,
            stdin=stdin,
            stdout=stdout,
            timeout=timeout,
        )
        return output if output.code >= 0 else failure.check(output, argv)

    def logs(self, container: str, *, tail: int = 20) -> str:
        words = ("logs", "--tail", str(tail), container)
        output = self.docker(*words, timeout=self.timeout)
        return (output.stdout + output.stderr).strip()

    def usage(self, *containers: str) -> tuple[Usage, ...]:
        """
        Sample what still runs.

        Docker's whole sample fails ("EOF") when one container ends under it; then each
        is sampled alone, and what has ended is left out.
        """
        if not containers:
            return ()
        together = self._sample(*containers)
        if together is not None:
            return together
        alone = (self._sample(name) for name in containers)
        return tuple(usage for found in alone for usage in found or ())

    def _sample(self, *containers: str) -> tuple[Usage, ...] | None:
        words = ("stats", "--no-stream", "--no-trunc", "--format", "{{json .}}")
        output = self.docker(*words, *containers, timeout=STATS_TIMEOUT)
        if output.code != 0:
            return None
        return tuple(parse.usage(loads(line)) for line in output.stdout.splitlines())

    def events(self, *filters: str) -> AbstractContextManager[events.Stream]:
        flags = [word for value in filters for word in ("--filter", value)]
        argv = self.command("events", "--format", "{{json .}}", *flags)
        return events.event_stream(argv, echo=self.echo)

    def run(self, spec: RunSpec, *, timeout: float) -> Output:
        spec = replace(spec, name=spec.name or f"compose-ops-run-{uuid.uuid4().hex}")
        argv = self.command(*run_arguments(spec))
        ended = False
        try:
            output = process.run(
                argv,
                echo=self.echo,
                environment=named(spec.environment)[1],
                timeout=timeout,
            )
            ended = output.code != process.TIMED_OUT
        finally:
            if not ended:
                self.docker("rm", "--force", spec.name, timeout=QUICK_TIMEOUT)
        if output.code == process.TIMED_OUT:
            raise EngineError(f"{spec.name} did not end within {timeout:g} s")
        if output.code < 0 or (
            output.code == RUN_FAILED and output.stderr.startswith("docker:")
        ):
            raise failure.failure(output.code, output.stderr, argv)
        return output

    def path_exists(self, path: Path, *, image: str) -> bool:
        if self.endpoint().is_local:
            return path.exists()
        name = f"compose-ops-path-{uuid.uuid4().hex}"
        spec = RunSpec(image, ["true"], name=name, mounts=[bind(path, "/there")])
        words = create_arguments(spec)
        output = self.docker(*words, timeout=QUICK_TIMEOUT)
        if "bind source path does not exist" in output.stderr:
            return False
        failure.check(output, self.command(*words))
        self.checked("rm", name, timeout=QUICK_TIMEOUT)
        return True


def _grace(seconds: int | None) -> list[str]:
    return [] if seconds is None else ["--time", str(seconds)]
