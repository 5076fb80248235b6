"""
The port to a Docker Engine: what operations may ask of it, and the values it returns.

`Engine` is a Protocol; `compose_ops.docker.client` implements it and `tests/fakes.py`
does so in memory. Nothing here runs a process. Identifiers are full container
ids; sizes are bytes, times are aware datetimes, durations are seconds.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

Echo = Callable[[Sequence[str]], None]

TIMEOUT = 20.0
"""Seconds for an answer that an engine gives at once, unless it hangs."""

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
FILES_LABEL = "com.docker.compose.project.config_files"
DIRECTORY_LABEL = "com.docker.compose.project.working_dir"
CONFIG_HASH_LABEL = "com.docker.compose.config-hash"
NUMBER_LABEL = "com.docker.compose.container-number"
ONEOFF_LABEL = "com.docker.compose.oneoff"


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """
    What `docker info` says of the engine, reduced to what decisions need.

    `raw` has the rest, the client's own part only where the client was asked. `seen`
    is when it was asked and when it answered, in seconds since the epoch.
    """

    id: str
    version: str
    cpus: int
    memory: int
    runtimes: tuple[str, ...]
    raw: Mapping[str, Any] = field(default_factory=dict)
    seen: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Output:
    """A finished command: its exit code and what it printed."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Probe:
    """One run of a container's health check."""

    start: datetime
    code: int
    output: str


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """A port that the engine really publishes, as inspect reports it."""

    host: str
    port: int
    target: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume or bind of a container; `name` is empty for a bind."""

    kind: str
    name: str
    source: str
    target: str
    writable: bool


@dataclass(frozen=True, slots=True)
class Container:
    """A container as inspect shows it, running or not."""

    id: str
    name: str
    project: str
    service: str
    number: int
    image: str
    image_id: str
    config_hash: str
    state: str
    health: str
    exit_code: int
    oom_killed: bool
    restart_count: int
    created: datetime
    started: datetime | None
    finished: datetime | None
    labels: Mapping[str, str]
    networks: Mapping[str, str]
    mounts: tuple[Mount, ...]
    published: tuple[PublishedPort, ...]
    probes: tuple[Probe, ...]
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_one_off(self) -> bool:
        """Whether `docker compose run` made it: no service's own container."""
        return self.labels.get(ONEOFF_LABEL, "").lower() == "true"

    @property
    def is_running(self) -> bool:
        return self.state == "running"

    @property
    def is_healthy(self) -> bool:
        """Running, and its health check (if it has one) passes."""
        return self.is_running and self.health in {"healthy", ""}


@dataclass(frozen=True, slots=True)
class Volume:
    name: str
    driver: str
    options: Mapping[str, str]
    labels: Mapping[str, str]
    mountpoint: str
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class Network:
    id: str
    name: str
    driver: str
    internal: bool
    subnets: tuple[str, ...]
    labels: Mapping[str, str]
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Image:
    id: str
    tags: tuple[str, ...]
    size: int
    labels: Mapping[str, str]
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Usage:
    """One sample of `docker stats`: CPU in percent of one core, memory in bytes."""

    container: str
    cpu: float
    memory: int
    memory_limit: int
    raw: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of `docker events`."""

    time: float
    kind: str
    action: str
    id: str
    attributes: Mapping[str, str]


class EventStream(Protocol):
    def next(self, timeout: float) -> Event | None:
        """Return the next event, or None when *timeout* seconds bring none."""


@dataclass(frozen=True, slots=True)
class RunSpec:
    """
    A one-off container; `mounts` are values of `docker run --mount`.

    Nothing is granted that is not named: by default no network, no capability, a
    read-only root and no log driver.
    """

    image: str
    command: Sequence[str]
    name: str = ""
    entrypoint: str | None = None
    user: str = ""
    network: str = "none"
    mounts: Sequence[str] = ()
    tmpfs: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    capabilities: Sequence[str] = ()
    read_only: bool = True
    log_driver: str = "none"
    extra: Sequence[str] = ()


class InteractiveRun(Protocol):
    """A running one-off container that answers lines with lines."""

    def say(self, line: str) -> None:
        """Send one line; EngineError when the container is gone."""

    def receive(self) -> str:
        """Return the next line; EngineError when the container is gone."""


class Engine(Protocol):
    """What operations ask of Docker. Every method may raise EngineError."""

    def info(self) -> EngineInfo:
        """Return the engine's own facts; EngineUnavailable when it does not answer."""

    def profiled_services(self) -> frozenset[str]:
        """Return the names of all services, also those of inactive profiles."""

    def model(self) -> dict[str, Any]:
        """Return the merged compose model; ConfigurationError when it is invalid."""

    def config_hashes(self) -> dict[str, str]:
        """Return Compose's config hash per service."""

    def preload(self) -> None:
        """Load what the first change needs, which would wait for it otherwise."""

    def up(
        self,
        services: Iterable[str] = (),
        *,
        build: bool = False,
        start: bool = True,
        dependencies: bool = True,
        recreate: str = "changed",
        remove_orphans: bool = False,
        scale: Mapping[str, int] | None = None,
    ) -> None:
        """Run `compose up --detach`; *recreate* is changed, never or always."""

    def build(
        self, services: Iterable[str] = (), *, cache: bool = True, pull: bool = False
    ) -> None:
        """Build the services' images; empty means all."""

    def pull(self, services: Iterable[str] = ()) -> None:
        """Pull the services' images; empty means all."""

    def compose_stop(
        self, services: Iterable[str] = (), *, timeout: int | None = None
    ) -> None:
        """Stop services in dependency order, each with its own grace period."""

    def compose_start(self, services: Iterable[str] = ()) -> None:
        """Start existing containers of services in dependency order."""

    def down(self, *, volumes: bool = False, remove_orphans: bool = True) -> None:
        """Remove the project's containers and networks, and volumes when told."""

    def follow_logs(
        self, services: Iterable[str] = (), *, tail: int | None, follow: bool
    ) -> int:
        """Print the services' logs on this terminal; return the exit code."""

    def containers(
        self, *, project: str | None = None, filters: Sequence[str] = ()
    ) -> tuple[Container, ...]:
        """Return containers, stopped ones too; of every project when None."""

    def container(self, reference: str) -> Container | None:
        """Return one container by id or name, None when it is gone."""

    def start(self, *containers: str) -> None: ...

    def stop(self, *containers: str, timeout: int | None = None) -> None: ...

    def restart(self, *containers: str, timeout: int | None = None) -> None: ...

    def remove(self, *containers: str, force: bool = False) -> None: ...

    def rename(self, container: str, name: str) -> None: ...

    def kill(self, container: str, signal: str = "KILL") -> None: ...

    def set_restart(self, container: str, policy: str) -> None:
        """Change the restart policy, which the configuration hash leaves out."""

    def pause(self, *containers: str) -> None: ...

    def unpause(self, *containers: str) -> None: ...

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
        """
        Run a command in a container; code 124 when *timeout* passed.

        *environment* is added to the container's, each NAME=VALUE.
        """

    def look(self, container: str, command: Sequence[str]) -> str:
        """Return what a command prints that only looks: it may be run twice."""

    def logs(self, container: str, *, tail: int = 20) -> str:
        """Return the last lines that a container wrote, both streams."""

    def usage(self, *containers: str) -> tuple[Usage, ...]:
        """Return one sample of CPU and memory per running container."""

    def memory(self, *containers: str) -> tuple[Usage, ...]:
        """Return the memory per running container, without CPU and so at once."""

    def events(
        self, *filters: str, since: float | None = None
    ) -> AbstractContextManager[EventStream]:
        """Open the event stream; filters are `docker events --filter` values."""

    def run(self, spec: RunSpec, *, timeout: float | None = None) -> Output:
        """Run a one-off container to its end and remove it."""

    def run_interactive(self, spec: RunSpec) -> AbstractContextManager[InteractiveRun]:
        """Run a one-off container and speak to it; it ends and goes with the block."""

    def exec_interactive(
        self,
        container: str,
        command: Sequence[str],
        *,
        user: str = "",
        environment: Sequence[str] = (),
    ) -> AbstractContextManager[InteractiveRun]:
        """
        Run a command in a container and speak to it, as `run_interactive` does.

        At the end of the block its standard input ends; so must the command.
        """

    def plugins(self) -> Mapping[str, str]:
        """Return the client's plugins: version by name, empty for a broken one."""

    def started(self) -> str:
        """Return a mark that changes when the engine is started anew, or ""."""

    def other(self, file: Path, project: str) -> "Engine":
        """Return the same engine for another project, described by one file."""

    def volume(self, name: str) -> Volume | None: ...

    def volumes(self, *, project: str | None = None) -> tuple[Volume, ...]: ...

    def create_volume(
        self,
        name: str,
        *,
        labels: Mapping[str, str],
        options: Mapping[str, str] | None = None,
    ) -> None: ...

    def remove_volume(self, name: str) -> None: ...

    def networks(self, *, project: str | None = None) -> tuple[Network, ...]: ...

    def create_network(
        self, name: str, *, internal: bool, labels: Mapping[str, str], subnet: str = ""
    ) -> None: ...

    def remove_network(self, name: str) -> None: ...

    def connect(
        self, network: str, container: str, *, aliases: Sequence[str] = ()
    ) -> None: ...

    def disconnect(self, network: str, container: str) -> None: ...

    def image(self, reference: str) -> Image | None: ...

    def images(self, references: Iterable[str]) -> Mapping[str, Image]:
        """Return those of the images that are there, by the name asked for."""

    def tag(self, image: str, tag: str) -> None: ...

    def remove_image(self, reference: str) -> None: ...

    def registry_answers(self, reference: str, *, timeout: float) -> bool | None:
        """
        Say whether *reference* can be had from its registry right now.

        None: no answer within *timeout* seconds, or not one about the image.
        """

    def build_image(
        self,
        context: Path,
        *,
        tag: str,
        file: str = "",
        arguments: Mapping[str, str] | None = None,
        contexts: Mapping[str, str] | None = None,
        target: str = "",
    ) -> None:
        """Build one image outside Compose."""

    def docker(self, *arguments: str, timeout: float | None = None) -> Output:
        """Run any other docker command, captured; never raises for its exit code."""

    def docker_command(self, *arguments: str) -> list[str]:
        """Return the argv of a docker command, for a process that a caller pipes."""


def services_of(containers: Iterable[Container]) -> Iterator[str]:
    """Yield each service name once, in order of first appearance."""
    yield from dict.fromkeys(container.service for container in containers)
