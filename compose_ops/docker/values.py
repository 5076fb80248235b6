"""The values that an engine returns or is given: facts, frozen as they were asked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from compose_ops.errors import ConfigurationError

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
FILES_LABEL = "com.docker.compose.project.config_files"
DIRECTORY_LABEL = "com.docker.compose.project.working_dir"
CONFIG_HASH_LABEL = "com.docker.compose.config-hash"
NUMBER_LABEL = "com.docker.compose.container-number"
ONEOFF_LABEL = "com.docker.compose.oneoff"

ANONYMOUS = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """
    What `docker info` says of the engine, reduced to what decisions need.

    `raw` has the rest. `seen` is when it was asked and when it answered, in seconds
    since the epoch. `plugins` are the client's: version by name, "" for a broken one.
    """

    id: str
    version: str
    cpus: int
    memory: int
    runtimes: tuple[str, ...]
    raw: Mapping[str, Any] = field(default_factory=dict)
    seen: tuple[float, float] = (0.0, 0.0)
    plugins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    Which engine the docker client talks to: its context and the engine's address.

    `host` is a URL such as unix:///var/run/docker.sock, ssh://me@there or
    tcp://there:2376.
    """

    context: str
    host: str

    @property
    def is_local(self) -> bool:
        """The engine is reached by a socket of this machine; its paths are these."""
        return self.host.startswith(("unix://", "npipe://"))


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

    @property
    def is_anonymous(self) -> bool:
        """Whether it is a volume whose name the engine made up: 64 hex digits."""
        return self.kind == "volume" and bool(ANONYMOUS.fullmatch(self.name))


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
    digests: tuple[str, ...] = ()


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


def mount(*fields: str) -> str:
    """
    Return the value of a `--mount`, which Docker reads as a line of CSV.

    Raises ConfigurationError for a path that is no UTF-8: Docker's API, which is JSON,
    would be given another one.

    >>> mount("type=bind", "src=/srv/a, b", "dst=/data", "readonly")
    'type=bind,"src=/srv/a, b",dst=/data,readonly'
    """
    for one in fields:
        try:
            one.encode()
        except UnicodeEncodeError:
            path = one.partition("=")[2]
            raise ConfigurationError(
                f"Docker cannot be given a path that is no UTF-8: {path}",
                hint="rename that folder, or name another one",
            ) from None
    return ",".join(map(_csv, fields))


def _csv(field: str) -> str:
    needs_quotes = any(char in field for char in ',"\r\n')
    return '"' + field.replace('"', '""') + '"' if needs_quotes else field


@dataclass(frozen=True, slots=True)
class RunSpec:
    """
    A one-off container; `mounts` are values of `docker run --mount`.

    Nothing is granted that is not named: by default no network and no capability. The
    root is read-only, and what is printed goes into no log. The values of `environment`
    are in no command line.
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
    extra: Sequence[str] = ()
