"""
Requests by the docker client alone: what there is, and the merged compose files.

python-on-whales starts a process for each object that it inspects.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from json import loads
from pathlib import Path
from typing import Any

from compose_ops import redaction
from compose_ops.docker import context, failure, images, parse, process, service_hashes
from compose_ops.docker.api import (
    BUILD_TIMEOUT,
    ONEOFF_LABEL,
    PROJECT_LABEL,
    Container,
    Endpoint,
    EngineInfo,
    Image,
    Network,
    Volume,
)
from compose_ops.docker.command_line import CommandLine
from compose_ops.errors import ConfigurationError, EngineError

CONFIG_TIMEOUT = 60.0
"""Seconds: merging files takes 0.1 s; this ends a client that hangs."""


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

    def model(self, *, checked: bool = True) -> dict[str, Any]:
        words = ["config", "--format", "json"]
        words += [] if checked else ["--no-consistency"]
        output = self.compose(*words, timeout=CONFIG_TIMEOUT)
        for warning in failure.warnings(output.stderr):
            self.warn(warning)
        found: dict[str, Any] = loads(output.stdout)
        _refuse_options(found)
        return found

    def config_hashes(self) -> dict[str, str]:
        words = ("config", "--format", "json")
        merged = self.compose(*words, timeout=CONFIG_TIMEOUT).stdout
        shared = any(map(service_hashes.shares, loads(merged)["services"].values()))
        there = self.containers() if shared else ()
        # Its own files are in the merged model: it is read in their place.
        argv = self.compose_command("config", "--hash", "*", files=["-"])
        output = process.run(
            argv,
            echo=self.echo,
            environment=self.environment,
            timeout=CONFIG_TIMEOUT,
            stdin=service_hashes.as_created(merged, there).encode(),
        )
        lines = failure.check(output, argv).stdout.splitlines()
        hashes = dict(line.split(maxsplit=1) for line in lines if line.strip())
        left_out = service_hashes.unknown(merged)
        return {name: one for name, one in hashes.items() if name not in left_out}

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
        self,
        services: Iterable[str] = (),
        *,
        tail: int | None,
        follow: bool,
        write: Callable[[str], object],
        write_error: Callable[[str], object],
        colour: bool = False,
    ) -> int:
        limit = [] if tail is None else ["--tail", str(tail)]
        argv = self.compose_command(
            *(["--ansi", "always"] if colour else []),
            "logs",
            *limit,
            *(["--follow"] if follow else []),
            *services,
        )
        process.shown(argv, self.environment, self.echo)
        return process.redacted(
            argv, self.environment, write=write, write_error=write_error
        )

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
                detail="\n".join(
                    redaction.clean(output.stderr).strip().splitlines()[-15:]
                ),
            )


def _of(project: str | None) -> list[str]:
    return [] if project is None else [f"label={PROJECT_LABEL}={project}"]


def _refuse_options(model: Mapping[str, Any]) -> None:
    """Refuse names that Docker's client would read as options. ConfigurationError."""
    for name, service in (model.get("services") or {}).items():
        for what, word in (("service", name), ("image", service.get("image") or "")):
            if str(word).startswith("-"):
                raise ConfigurationError(
                    f"the {what} {word} of the compose files looks like an option",
                    hint="let its name begin with a letter or a digit",
                )
