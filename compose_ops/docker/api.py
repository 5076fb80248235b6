"""
The port to a Docker Engine: what operations may ask of it, and the values it returns.

`Engine` is a Protocol; `compose_ops.docker.client` implements it and `tests/fakes.py`
does so in memory. Nothing here runs a process. Identifiers are full container
ids; sizes are bytes, times are aware datetimes, durations are seconds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, Protocol

from compose_ops.docker.cluster import STACK_LABEL, Cluster, Node, Service, Task
from compose_ops.docker.values import (
    CONFIG_HASH_LABEL,
    DIRECTORY_LABEL,
    FILES_LABEL,
    NUMBER_LABEL,
    ONEOFF_LABEL,
    PROJECT_LABEL,
    SERVICE_LABEL,
    Container,
    Endpoint,
    EngineInfo,
    Event,
    Image,
    Mount,
    Network,
    Output,
    Probe,
    PublishedPort,
    RunSpec,
    Usage,
    Volume,
    mount,
)

__all__ = [
    "BUILD_TIMEOUT",
    "CHANGE_TIMEOUT",
    "CONFIG_HASH_LABEL",
    "DIRECTORY_LABEL",
    "FILES_LABEL",
    "NUMBER_LABEL",
    "ONEOFF_LABEL",
    "PROJECT_LABEL",
    "QUICK_TIMEOUT",
    "SERVICE_LABEL",
    "SILENCE_TIMEOUT",
    "STACK_LABEL",
    "TIMEOUT",
    "Cluster",
    "Container",
    "Echo",
    "Endpoint",
    "Engine",
    "EngineInfo",
    "Event",
    "EventStream",
    "Image",
    "InteractiveRun",
    "Mount",
    "Network",
    "Node",
    "Output",
    "Probe",
    "PublishedPort",
    "RunSpec",
    "Service",
    "Task",
    "Usage",
    "Volume",
    "mount",
]

Echo = Callable[[Sequence[str]], None]

TIMEOUT = 20.0
"""Seconds for an answer that an engine gives at once, unless it hangs."""
QUICK_TIMEOUT = 120.0
"""Seconds for a change that waits for no process: a name, a tag, a network."""
CHANGE_TIMEOUT = 3600.0
"""Seconds for a change that waits for processes, each with its grace period."""
BUILD_TIMEOUT = 4 * 3600.0
"""Seconds for what builds or pulls images first."""
SILENCE_TIMEOUT = 3600.0
"""Seconds that a container which is spoken to may say nothing."""


class EventStream(Protocol):
    def next(self, timeout: float) -> Event | None:
        """Return the next event, or None when *timeout* seconds bring none."""


class InteractiveRun(Protocol):
    """
    A running container, or a command in one, that answers lines with lines.

    Lines come from its standard output. Where that was given a file of the caller's
    (`output`), it carries bytes, and lines come from the standard error output.
    """

    def send(self, line: str) -> None:
        """Send one line; EngineError when the container is gone."""

    def send_bytes(self, source: IO[bytes], size: int) -> None:
        """
        Send *size* bytes of *source* behind the lines sent so far.

        EngineError when the container is gone or *source* ends before.
        """

    def receive(self, timeout: float = SILENCE_TIMEOUT) -> str:
        """
        Return the next line without its end.

        EngineError when the container is gone, or silent for *timeout* seconds.
        """


class Engine(Cluster, Protocol):
    """What operations ask of Docker. Every method may raise EngineError."""

    def endpoint(self) -> Endpoint:
        """Return which engine is asked; it needs not answer."""

    def info(self) -> EngineInfo:
        """Return the engine's own facts; EngineUnavailable when it does not answer."""

    def profiled_services(self) -> frozenset[str]:
        """Return the names of all services, also those of inactive profiles."""

    def model(self, *, checked: bool = True) -> dict[str, Any]:
        """
        Return the merged compose model; ConfigurationError when it is invalid.

        Not *checked*, what contradicts itself is left to a file that goes behind.
        """

    def config_hashes(self) -> dict[str, str]:
        """
        Return the hash that Compose gives the containers of each service.

        A service whose hash cannot be known before its creation is left out.
        """

    def preload(self) -> None:
        """Load python-on-whales (0.2 s), so that the first change does not wait."""

    def up(
        self,
        services: Iterable[str] = (),
        *,
        build: bool = False,
        start: bool = True,
        dependencies: bool = True,
        recreate: str = "changed",
        scale: Mapping[str, int] | None = None,
    ) -> None:
        """Run `compose up --detach`; *recreate* is changed, never or always."""

    def run_service(
        self, service: str, command: Sequence[str], *, name: str, timeout: float
    ) -> Output:
        """
        Run *command* in a one-off container of a service, and remove it.

        Nothing else is started, no image is pulled; code 124 after *timeout* seconds.
        """

    def build(
        self, services: Iterable[str] = (), *, cache: bool = True, pull: bool = False
    ) -> None:
        """Build the services' images; empty means all."""

    def pull(self, services: Iterable[str] = ()) -> None:
        """Pull the services' images; empty means all."""

    def down(self, *, volumes: bool = False) -> None:
        """Remove containers, orphans too, and networks; volumes when told."""

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
        """
        Give *write* the services' logs, secrets replaced; return the exit code.

        *write_error* gets what the client says. What either raises ends the client.
        """

    def containers(
        self, *, project: str | None = None, filters: Sequence[str] = ()
    ) -> tuple[Container, ...]:
        """Return containers, stopped ones too; of every project when None."""

    def container(self, reference: str) -> Container | None:
        """Return one container by id or name, None when it is gone."""

    def start(self, *containers: str) -> None: ...

    def stop(self, *containers: str, timeout: int | None = None) -> None: ...

    def restart(self, *containers: str, timeout: int | None = None) -> None: ...

    def remove(
        self, *containers: str, force: bool = False, volumes: bool = False
    ) -> None:
        """
        Remove containers; their anonymous volumes stay unless *volumes*.

        Data in them may be the only copy: only containers of our own go with them.
        """

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
        environment: Mapping[str, str] | None = None,
        stdin: bytes | IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        timeout: float,
    ) -> Output:
        """
        Run a command in a container; code 124 when *timeout* seconds passed.

        *user* is a name or number of the container, "" for its own.
        *environment* is added to the container's, in no command line. *stdin* is what
        the command reads; *stdout* is an open file that gets what it prints, as bytes.
        What was begun goes on in the container after *timeout*.
        """

    def logs(self, container: str, *, tail: int = 20) -> str:
        """Return the last lines that a container wrote, both streams."""

    def usage(self, *containers: str) -> tuple[Usage, ...]:
        """Return one sample of CPU and memory per running container."""

    def events(self, *filters: str) -> AbstractContextManager[EventStream]:
        """Open the event stream; filters are `docker events --filter` values."""

    def run(self, spec: RunSpec, *, timeout: float) -> Output:
        """Run a one-off container, then remove it; EngineError after *timeout* s."""

    def run_interactive(
        self, spec: RunSpec, *, output: IO[bytes] | None = None
    ) -> AbstractContextManager[InteractiveRun]:
        """
        Run a one-off container and speak to it; it ends and goes with the block.

        *output* is an open file, such as an archive or a pipe, that gets the bytes of
        its standard output; it is complete when the block has ended.
        """

    def exec_interactive(
        self,
        container: str,
        command: Sequence[str],
        *,
        user: str = "",
        environment: Mapping[str, str] | None = None,
        output: IO[bytes] | None = None,
    ) -> AbstractContextManager[InteractiveRun]:
        """
        Run a command in a container and speak to it, as `run_interactive` does.

        At the end of the block its standard input ends; so must the command.
        """

    def path_exists(self, path: Path, *, image: str) -> bool:
        """
        Say whether *path* is there on the engine's host, which may be another machine.

        There a container of *image*, any image of the engine, is created with it, and
        removed without having run.
        """

    def plugins(self) -> Mapping[str, str]:
        """Return the client's plugins: version by name, empty for a broken one."""

    def boot_id(self) -> str:
        """Return a mark that changes when the engine is started anew, or ""."""

    def for_project(self, file: Path, project: str) -> "Engine":
        """Return the same engine for another project, described by one file."""

    def volume(self, name: str) -> Volume | None: ...

    def volumes(self, *, project: str | None = None) -> tuple[Volume, ...]: ...

    def create_volume(self, name: str, *, labels: Mapping[str, str]) -> None:
        """Create a volume; one that is there stays as it is, its labels too."""

    def remove_volume(self, name: str) -> None: ...

    def networks(self, *, project: str | None = None) -> tuple[Network, ...]: ...

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
        self, folder: Path, *, tag: str, arguments: Mapping[str, str] | None = None
    ) -> None:
        """Build one image outside Compose; the values of *arguments* stay hidden."""

    def docker(self, *arguments: str, timeout: float = CHANGE_TIMEOUT) -> Output:
        """
        Run any other docker command, captured; never raises for its exit code.

        Code 124 when *timeout* seconds passed.
        """
