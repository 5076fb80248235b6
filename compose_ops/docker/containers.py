"""The adapter's container verbs."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from json import loads
from urllib.parse import quote

from compose_ops.docker import parse, process
from compose_ops.docker.api import (
    ONEOFF_LABEL,
    PROJECT_LABEL,
    Container,
    Output,
    RunSpec,
    Usage,
)
from compose_ops.docker.base import Client
from compose_ops.docker.socket import RefusedError
from compose_ops.errors import EngineError


class ContainerVerbs(Client):
    def containers(
        self, *, project: str | None = None, filters: Sequence[str] = ()
    ) -> tuple[Container, ...]:
        wanted = list(filters)
        if project is not None:
            wanted += [
                f"label={PROJECT_LABEL}={project}",
                f"label={ONEOFF_LABEL}=False",
            ]
        found = self.listed("container", wanted)
        return tuple(parse.container(data) for data in found)

    def container(self, reference: str) -> Container | None:
        found = self.inspect("container", [reference])
        return parse.container(found[0]) if found else None

    # Without python-on-whales: a store at rest would wait until it was imported.
    def start(self, *containers: str) -> None:
        words = ("container", "start", *containers)
        if len(containers) == 1:
            self.act(words, f"containers/{quote(containers[0])}/start")
        else:
            self.checked(*words)

    def stop(self, *containers: str, timeout: int | None = None) -> None:
        limit = [] if timeout is None else ["--time", str(timeout)]
        words = ("container", "stop", *limit, *containers)
        if len(containers) == 1:
            after = "" if timeout is None else f"?t={timeout}"
            self.act(words, f"containers/{quote(containers[0])}/stop{after}")
        else:
            self.checked(*words)

    def restart(self, *containers: str, timeout: int | None = None) -> None:
        self.call(
            lambda docker: docker.container.restart(list(containers), time=timeout)
        )

    def remove(self, *containers: str, force: bool = False) -> None:
        self.call(
            lambda docker: docker.container.remove(
                list(containers), force=force, volumes=True
            )
        )

    def rename(self, container: str, name: str) -> None:
        self.call(lambda docker: docker.container.rename(container, name))

    def kill(self, container: str, signal: str = "KILL") -> None:
        words = ("container", "kill", "--signal", signal, container)
        self.act(words, f"containers/{quote(container)}/kill?signal={signal}")

    def set_restart(self, container: str, policy: str) -> None:
        name, _, most = policy.partition(":")
        wanted = {"Name": name, "MaximumRetryCount": int(most or 0)}
        self.act(
            ("container", "update", "--restart", policy, container),
            f"containers/{quote(container)}/update",
            {"RestartPolicy": wanted},
        )

    def pause(self, *containers: str) -> None:
        self.call(lambda docker: docker.container.pause(list(containers)))

    def unpause(self, *containers: str) -> None:
        self.call(lambda docker: docker.container.unpause(list(containers)))

    def execute(
        self,
        container: str,
        command: Sequence[str],
        *,
        user: str = "",
        environment: Sequence[str] = (),
        stdin: bytes | None = None,
        timeout: float | None = None,
    ) -> Output:
        flags = [
            *(["--user", user] if user else []),
            *(["--interactive"] if stdin else []),
            *(f"--env={pair}" for pair in environment),
        ]
        argv = self.docker_command("exec", *flags, container, *command)
        return process.run(argv, echo=self.echo, stdin=stdin, timeout=timeout)

    def look(self, container: str, command: Sequence[str]) -> str:
        try:
            code, found = self.daemon.looked(container, command)
        except RefusedError:
            code = 1
        if code == 0:
            return found
        return self.checked("exec", container, *command, timeout=self.patience).stdout

    def logs(self, container: str, *, tail: int = 20) -> str:
        output = self.docker("logs", "--tail", str(tail), container)
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

    def memory(self, *containers: str) -> tuple[Usage, ...]:
        try:
            found = self.daemon.samples(containers)
        except RefusedError:
            return self.usage(*containers)
        return tuple(map(parse.counters, found))

    def _sample(self, *containers: str) -> tuple[Usage, ...] | None:
        output = self.docker(
            "stats", "--no-stream", "--no-trunc", "--format", "{{json .}}", *containers
        )
        if output.code != 0:
            return None
        return tuple(parse.usage(loads(line)) for line in output.stdout.splitlines())

    def events(
        self, *filters: str, since: float | None = None
    ) -> AbstractContextManager[process.Stream]:
        flags = [word for value in filters for word in ("--filter", value)]
        start = [] if since is None else ["--since", f"{since:.9f}"]
        argv = self.docker_command("events", "--format", "{{json .}}", *start, *flags)
        return process.event_stream(argv, echo=self.echo)

    def run(self, spec: RunSpec, *, timeout: float | None = None) -> Output:
        argv = self.docker_command(*run_arguments(spec))
        output = process.run(argv, echo=self.echo, timeout=timeout)
        if output.code == DOCKER_FAILED and output.stderr.startswith("docker:"):
            raise process.failure(output.code, output.stderr, argv)
        if output.code == process.TIMED_OUT and spec.name:
            self.docker("rm", "--force", spec.name)
            raise EngineError(f"{spec.name} did not end within {timeout:.0f} s")
        return output


DOCKER_FAILED = 125


def run_arguments(spec: RunSpec) -> list[str]:
    """Return the `docker run` arguments of *spec*."""
    pairs = [
        *(("--name", spec.name) for _ in range(bool(spec.name))),
        *(("--user", spec.user) for _ in range(bool(spec.user))),
        *(
            ("--entrypoint", spec.entrypoint or "")
            for _ in range(spec.entrypoint is not None)
        ),
        *(("--mount", value) for value in spec.mounts),
        *(("--tmpfs", value) for value in spec.tmpfs),
        *(("--env", f"{key}={value}") for key, value in spec.environment.items()),
        *(("--label", f"{key}={value}") for key, value in spec.labels.items()),
        *(("--cap-add", value) for value in spec.capabilities),
    ]
    return [
        *("run", "--rm", "--pull", "never", "--network", spec.network),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges:true"),
        *("--log-driver", spec.log_driver),
        *(["--read-only"] if spec.read_only else []),
        *(word for pair in pairs for word in pair),
        *spec.extra,
        spec.image,
        *spec.command,
    ]
