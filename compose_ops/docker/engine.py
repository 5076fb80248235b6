"""
Requests by the docker client alone, for what python-on-whales cannot do as needed.

It inspects one object a process, its `exec` takes no standard input and puts values on
the command line, it connects with one alias at most, and it was to be imported while a
store is stopped: so containers are started and stopped here, too.
"""

import sys
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from json import loads
from pathlib import Path
from typing import IO, Any

from compose_ops.docker import context, events, failure, images, parse, process
from compose_ops.docker.api import (
    BUILD_TIMEOUT,
    CHANGE_TIMEOUT,
    ONEOFF_LABEL,
    PROJECT_LABEL,
    QUICK_TIMEOUT,
    Container,
    Endpoint,
    EngineInfo,
    Image,
    Network,
    Output,
    RunSpec,
    Usage,
    Volume,
)
from compose_ops.docker.command_line import CommandLine
from compose_ops.docker.run_arguments import (
    bind,
    create_arguments,
    named,
    run_arguments,
)
from compose_ops.errors import EngineError

CONFIG_TIMEOUT = 60.0
"""Seconds: merging files takes 0.1 s; this ends a client that hangs."""
STATS_TIMEOUT = 60.0
RUN_FAILED = 125
"""What docker ends with where it could not run what it was to."""


class EngineRequests(CommandLine):
    def endpoint(self) -> Endpoint:
        return self._endpoint

    @cached_property
    def _endpoint(self) -> Endpoint:
        words = ("context", "inspect", "--format", "{{json .}}")
        return context.endpoint(self.checked(*words, timeout=self.timeout).stdout)

    def info(self) -> EngineInfo:
        begun = time.time()
        words = ("info", "--format", "{{json .}}")
        found = loads(self.checked(*words, timeout=self.timeout).stdout)
        return replace(parse.info(found), seen=(begun, time.time()))

    def plugins(self) -> Mapping[str, str]:
        words = ("info", "--format", "{{json .ClientInfo}}")
        output = self.docker(*words, timeout=self.timeout)
        if not output.stdout.startswith("{"):
            failure.check(output, self.command(*words))
        return parse.plugins(loads(output.stdout or "{}"))

    def model(self) -> dict[str, Any]:
        words = ("config", "--format", "json")
        found: dict[str, Any] = loads(
            self.compose(*words, timeout=CONFIG_TIMEOUT).stdout
        )
        return found

    def config_hashes(self) -> dict[str, str]:
        printed = self.compose("config", "--hash", "*", timeout=CONFIG_TIMEOUT).stdout
        lines = printed.splitlines()
        return dict(line.split(maxsplit=1) for line in lines if line.strip())

    def profiled_services(self) -> frozenset[str]:
        # Compose's flags come before its verb, so this one stands behind the files.
        argv = self.compose_command("--profile", "*", "config", "--services")
        output = process.run(
            argv,
            echo=self.echo,
            environment=self.environment,
            timeout=CONFIG_TIMEOUT,
        )
        return frozenset(failure.check(output, argv).stdout.split())

    def pull(self, services: Iterable[str] = ()) -> None:
        words = ("pull", "--quiet", "--ignore-buildable", *services)
        self.compose(*words, timeout=BUILD_TIMEOUT)

    def follow_logs(
        self, services: Iterable[str] = (), *, tail: int | None, follow: bool
    ) -> int:
        limit = [] if tail is None else ["--tail", str(tail)]
        argv = self.compose_command(
            "logs", *limit, *(["--follow"] if follow else []), *services
        )
        process.shown(argv, self.environment, self.echo)
        sys.stdout.flush()
        running = process.begin(argv, self.environment)
        process.finish(running, None, None if follow else CHANGE_TIMEOUT)
        return running.returncode

    def inspect(self, noun: str, names: Sequence[str]) -> list[dict[str, Any]]:
        """Inspect what is still there of *names* in one go; the rest is left out."""
        if not names:
            return []
        output = self.docker(noun, "inspect", *names, timeout=self.timeout)
        if output.code != 0 and not failure.says_absent(output.stderr):
            failure.check(output, self.command(noun, "inspect"))
        found: list[dict[str, Any]] = loads(output.stdout or "[]")
        return found

    def listed(self, noun: str, filters: Sequence[str]) -> list[dict[str, Any]]:
        """Inspect all such objects, by `docker NOUN ls --filter` values."""
        flags = [word for value in filters for word in ("--filter", value)]
        every = ["--all", "--no-trunc"] if noun == "container" else []
        words = (noun, "ls", *every, "--quiet", *flags)
        names = self.checked(*words, timeout=self.timeout).stdout.split()
        return self.inspect(noun, names)

    def containers(
        self, *, project: str | None = None, filters: Sequence[str] = ()
    ) -> tuple[Container, ...]:
        wanted = list(filters)
        if project is not None:
            wanted += [*_of(project), f"label={ONEOFF_LABEL}=False"]
        return tuple(map(parse.container, self.listed("container", wanted)))

    def container(self, reference: str) -> Container | None:
        found = self.inspect("container", [reference])
        return parse.container(found[0]) if found else None

    def volume(self, name: str) -> Volume | None:
        found = self.inspect("volume", [name])
        return parse.volume(found[0]) if found else None

    def volumes(self, *, project: str | None = None) -> tuple[Volume, ...]:
        return tuple(map(parse.volume, self.listed("volume", _of(project))))

    def networks(self, *, project: str | None = None) -> tuple[Network, ...]:
        return tuple(map(parse.network, self.listed("network", _of(project))))

    def image(self, reference: str) -> Image | None:
        found = self.inspect("image", [reference])
        return parse.image(found[0]) if found else None

    def images(self, references: Iterable[str]) -> Mapping[str, Image]:
        names = sorted(set(references))
        found = [parse.image(data) for data in self.inspect("image", names)]
        return images.by_name(names, found)

    def boot_id(self) -> str:
        found = self.inspect("network", ["bridge"])
        return str(found[0].get("Created", "")) if found else ""

    def start(self, *containers: str) -> None:
        self.checked("container", "start", *containers, timeout=CHANGE_TIMEOUT)

    def stop(self, *containers: str, timeout: int | None = None) -> None:
        words = ("container", "stop", *_grace(timeout), *containers)
        self.checked(*words, timeout=CHANGE_TIMEOUT)

    def restart(self, *containers: str, timeout: int | None = None) -> None:
        words = ("container", "restart", *_grace(timeout), *containers)
        self.checked(*words, timeout=CHANGE_TIMEOUT)

    def remove(self, *containers: str, force: bool = False) -> None:
        flags = ["--volumes", *(["--force"] if force else [])]
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
        self.checked("container", "pause", *containers, timeout=QUICK_TIMEOUT)

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

    def execute(
        self,
        container: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        stdin: bytes | IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        timeout: float,
    ) -> Output:
        flags, values = named(environment or {})
        more = [] if stdin is None else ["--interactive"]
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

    def exec_readonly(self, container: str, command: Sequence[str]) -> str:
        return self.checked("exec", container, *command, timeout=self.timeout).stdout

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

    def registry_answers(self, reference: str, *, timeout: float) -> bool | None:
        words = ("buildx", "imagetools", "inspect", "--raw", reference)
        output = self.docker(*words, timeout=timeout)
        return parse.registry_answer(output.code, output.stderr)

    def build_image(
        self, folder: Path, *, tag: str, arguments: Mapping[str, str] | None = None
    ) -> None:
        flags = [word for name in arguments or {} for word in ("--build-arg", name)]
        words = ("buildx", "build", "--load", "--progress", "plain", "--tag", tag)
        output = process.run(
            self.command(*words, *flags, str(folder)),
            echo=self.echo,
            environment=arguments,
            timeout=BUILD_TIMEOUT,
        )
        if output.code != 0:
            raise EngineError(
                f"the image {tag} did not build",
                hint=f"docker build {folder} shows the whole log",
                detail="\n".join(output.stderr.strip().splitlines()[-15:]),
            )


def _of(project: str | None) -> list[str]:
    return [] if project is None else [f"label={PROJECT_LABEL}={project}"]


def _grace(seconds: int | None) -> list[str]:
    return [] if seconds is None else ["--time", str(seconds)]
