"""The composition root: from flags to the project, its mode and its engine."""

import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

from compose_ops import redaction
from compose_ops.console import say
from compose_ops.docker.api import TIMEOUT, Container, Echo, Engine, EngineInfo, Network
from compose_ops.errors import ConfigurationError, EngineUnavailable, UsageError
from compose_ops.project import env_file as environment
from compose_ops.project import secrets
from compose_ops.project.labels import with_labels
from compose_ops.project.model import Model
from compose_ops.project.modes import (
    GPU_CHOICES,
    Mode,
    check_overlays,
    from_labels,
    selected,
)
from compose_ops.project.paths import (
    DEPLOYED_FILE,
    ENV_EXAMPLE,
    ENV_FILE,
    OWN_STATE,
    ROOT,
    STATE,
)
from compose_ops.runtime.once import Once
from compose_ops.state import folder
from compose_ops.state.store import StateFile

READ_ONLY_TIMEOUT = 5.0
"""Seconds for an engine's answer to a task that goes on without one."""


class Preconditions(Protocol):
    """Doctor's checks, as far as a task requires them."""

    def __call__(
        self, stack: "StackContext", task: str, *, services: Iterable[str] = ()
    ) -> None:
        """
        Return when nothing that *task* requires fails for *services*.

        *task* is `versions`, `up`, `rolling-update` or `restore`. Raises one
        ConfigurationError that lists every failure with its repair, EngineUnavailable
        when the engine does not answer or is too old.
        """


class RollingUpdates(Protocol):
    """What `up`, `restart`, `rebuild` and `down` ask of the rolling update."""

    def rolled(
        self, stack: "StackContext", services: Iterable[str]
    ) -> tuple[str, ...]: ...

    def gateways(self, stack: "StackContext") -> set[str]: ...

    def update(
        self,
        stack: "StackContext",
        services: Iterable[str],
        *,
        because: str = "",
        make: Callable[[str], None] | None = None,
        timeout: int | None,
    ) -> None: ...

    def refuse_to_cut(
        self,
        stack: "StackContext",
        networks: Iterable[Network],
        doomed: Iterable[Container],
    ) -> None: ...

    def notes(self, stack: "StackContext") -> list[str]: ...

    def pinned(self, stack: "StackContext", service: str) -> str: ...

    def all_removed(self, stack: "StackContext") -> None: ...


class KeptData(Protocol):
    """Data that a restore moved aside: whose, and when."""

    @property
    def services(self) -> tuple[str, ...]: ...

    @property
    def moment(self) -> datetime: ...

    @property
    def is_outlived(self) -> bool: ...


class Backups(Protocol):
    """What `down`, `status` and doctor ask about backup sets and restore points."""

    def verified_sets(self, stack: "StackContext") -> Sequence[datetime]: ...

    def newest_size(self, stack: "StackContext") -> int: ...

    def restore_points(self, stack: "StackContext") -> Sequence[KeptData]: ...

    def restore_points_as_json(
        self, stack: "StackContext"
    ) -> list[Mapping[str, Any]]: ...

    def forget_removed_volumes(self, stack: "StackContext") -> None: ...


class Collaborators(Protocol):
    """
    What operations need of each other, filled in by the composition root.

    Operations do not import each other: `up` hands a service to the rolling update
    through `rollout`, doctor asks for the age of backups through `backups`.
    """

    @property
    def require(self) -> Preconditions: ...

    @property
    def rollout(self) -> RollingUpdates: ...

    @property
    def backups(self) -> Backups: ...

    @property
    def prepare_images(self) -> Callable[[Engine, Path], None]: ...

    @property
    def state_files(self) -> Sequence[StateFile[Any]]: ...

    @property
    def helper_image(self) -> "Callable[[StackContext], str]":
        """What returns the name of a local image with python3."""


@dataclass
class StackContext:
    """
    A project in a mode on an engine.

    `everyone` holds the containers of all projects as they were when it was opened.
    `other_checkout` is the folder that a project of this name was started from, where
    that is not this checkout: only a stack that is looked at may have one.
    """

    root: Path
    project: str
    mode: Mode
    engine: Engine
    everyone: tuple[Container, ...]
    started_as: Mode | None
    mode_reason: str = ""
    dry: bool = False
    known: EngineInfo | None = None
    reopen: Callable[[Sequence[Path]], Engine] | None = None
    other_checkout: Path | None = None
    service_settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    product_files: Sequence[Path] = ()
    collaborators: Collaborators = field(kw_only=True)

    def with_files(self, files: Sequence[Path]) -> Engine:
        """Return the engine with *files* after the mode's own compose files."""
        return self.engine if self.reopen is None else self.reopen(files)

    @property
    def containers(self) -> tuple[Container, ...]:
        """The containers of the project's services, as they were when it was opened."""
        return tuple(
            c for c in self.everyone if c.project == self.project and not c.is_one_off
        )

    @property
    def one_offs(self) -> tuple[Container, ...]:
        """The project's containers that `docker compose run` made."""
        return tuple(
            c for c in self.everyone if c.project == self.project and c.is_one_off
        )

    def __post_init__(self) -> None:
        self._forget()
        self._plugins = Once(self.engine.plugins)

    def require(self, task: str, *, services: Iterable[str] = ()) -> None:
        """Return when doctor finds nothing that *task* requires to fail; see there."""
        self.collaborators.require(self, task, services=services)

    def begin(self) -> None:
        """Let Compose merge the files, so that the model is there sooner."""
        self._model.begin()

    def begin_hashes(self) -> None:
        """Let Compose merge the files and hash them, so that both are there sooner."""
        Thread(target=self._model.begin, daemon=True).start()
        Thread(target=self._hashes.begin, daemon=True).start()

    def reload(self) -> None:
        """Forget the merged files: what updates deployed has changed meanwhile."""
        files = _deployed(self.root, self.project, self.info, read_only=False)
        self.engine = self.with_files(files)
        self._forget()

    def _forget(self) -> None:
        self._model = Once(self._merged)
        self._hashes = Once(lambda: {**self.engine.config_hashes()})

    def _merged(self) -> Model:
        raw = self.engine.model()
        secrets.learn(raw)
        return Model(with_labels(raw, self.service_settings))

    @property
    def model(self) -> Model:
        """The merged compose model; ConfigurationError when it is not valid."""
        return self._model.answer()

    @property
    def config_hashes(self) -> Mapping[str, str]:
        """Compose's configuration hash of each service, as the files were opened."""
        return self._hashes.answer()

    @property
    def plugins(self) -> Mapping[str, str]:
        """The versions of the docker client's plugins; empty for a broken one."""
        return self.known.plugins if self.known else self._plugins.answer()

    @cached_property
    def info(self) -> EngineInfo:
        return self.known or self.engine.info()

    @property
    def state(self) -> Path:
        """The folder of this project's state on this engine; it may not exist yet."""
        return folder.of(self.root, self.info.id, self.project)

    def refresh(self) -> tuple[Container, ...]:
        """Return the project's containers as they are now."""
        return self.engine.containers(project=self.project)


def open_stack(
    collaborators: Collaborators,
    *,
    dev: bool = False,
    prod: bool = False,
    offline: bool = False,
    gpu: str = "auto",
    overlay: Sequence[str] = (),
    need_engine: bool = True,
    read_only: bool = False,
    dry: bool = False,
    echo: bool = False,
    root: Path = ROOT,
) -> StackContext:
    """
    Open the stack that the flags select, or the one that was started.

    Raises UsageError for flags that contradict each other; unless it is only looked at,
    ConfigurationError when another checkout runs a project of this name, and
    EngineUnavailable.
    """
    if dev and prod:
        raise UsageError("--dev and --prod exclude each other", hint="give one of them")
    if gpu not in GPU_CHOICES:
        raise UsageError(f"--gpu {gpu!r} is unknown", hint="auto, on or off")
    overlays = check_overlays(tuple(overlay), root)
    values = _values(root, read_only=read_only)
    project = environment.project_name(values)
    echo_to = _echo if echo else lambda _argv: None
    everyone, info = _observe(echo_to, need_engine=need_engine and not read_only)
    origin, started = _started(everyone, project)
    other = origin if origin not in {None, root} else None
    if other is not None and not read_only:
        raise of_another_checkout(project, other, root)
    started = None if other else started
    stage = "dev" if dev else "prod" if prod else "base"
    flags = Mode(stage, offline, overlays=overlays)
    mode, why = selected(flags, gpu, started, info)
    reopen = partial(_engine, root, mode, values, echo=echo_to)
    return StackContext(
        collaborators=collaborators,
        root=root,
        project=project,
        mode=mode,
        engine=reopen(_deployed(root, project, info, read_only=read_only)),
        everyone=everyone,
        started_as=started,
        mode_reason=why,
        dry=dry,
        known=info,
        reopen=reopen,
        other_checkout=other,
    )


def _values(root: Path, *, read_only: bool) -> Mapping[str, str]:
    """Return what Compose interpolates; doctor says itself that `.env` is closed."""
    try:
        values: Mapping[str, str] = environment.settings(root)
    except ConfigurationError:
        if not read_only:
            raise
        values = dict(os.environ)
    redaction.learn_mapping(values)
    return values


def _deployed(
    root: Path, project: str, info: EngineInfo | None, *, read_only: bool
) -> tuple[Path, ...]:
    """Return the compose file of what updates deployed, which later tasks keep."""
    if info is None:
        return ()
    file = folder.of(root, info.id, project) / DEPLOYED_FILE
    try:
        return (file,) if file.exists() else ()
    except PermissionError as refused:
        if read_only:
            return ()
        raise ConfigurationError(
            f"what tasks remember in {file.parents[2].name} is closed to this user",
            hint=f"make it yours: {OWN_STATE.replace(STATE, file.parents[2].name)}",
        ) from refused


def docker_client(*, echo: bool = False) -> Engine:
    """Return docker's client without any project; whether an engine answers is open."""
    from compose_ops.docker.client import DockerEngine

    return DockerEngine(echo=_echo if echo else lambda _argv: None)


def host_engine() -> Engine | None:
    """Return the engine without any project, None where none answers."""
    from compose_ops.docker.client import DockerEngine

    engine = DockerEngine()
    try:
        engine.info()
    except EngineUnavailable:
        return None
    return engine


def _observe(
    echo: Echo, *, need_engine: bool
) -> tuple[tuple[Container, ...], EngineInfo | None]:
    from compose_ops.docker.client import DockerEngine

    timeout = TIMEOUT if need_engine else READ_ONLY_TIMEOUT
    bare = DockerEngine(echo=echo, timeout=timeout)
    try:
        with ThreadPoolExecutor(1) as aside:
            asked = aside.submit(bare.info)
            return bare.containers(), asked.result()
    except EngineUnavailable:
        if need_engine:
            raise
        return (), None


def _started(
    everyone: Sequence[Container], project: str
) -> tuple[Path | None, Mode | None]:
    """Return the folder and the mode that a project was started from, if it was."""
    own = [container for container in everyone if container.project == project]
    if not own:
        return None, None
    newest = max(own, key=lambda container: container.created)
    directory, mode = from_labels(newest.labels)
    return directory.resolve(), mode


def of_another_checkout(project: str, origin: Path, root: Path) -> ConfigurationError:
    """Return the refusal of a project whose name another checkout uses."""
    gone = "" if origin.exists() else ", which is gone"
    return ConfigurationError(
        f"the project {project} was started from {origin}{gone}, not from {root}",
        hint=f"docker compose -p {project} down ends that one; another "
        "COMPOSE_PROJECT_NAME in .env lives beside it",
    )


def _engine(
    root: Path,
    mode: Mode,
    values: Mapping[str, str],
    further: Sequence[Path] = (),
    *,
    echo: Echo,
) -> Engine:
    from compose_ops.docker.client import DockerEngine

    env_file = root / ENV_FILE
    return DockerEngine(
        files=[*(root / file for file in mode.files()), *further],
        project=environment.project_name(values),
        directory=root,
        env_files=[env_file] if env_file.exists() else [],
        environment=mode.environment(values, environment.read(root / ENV_EXAMPLE)),
        echo=echo,
    )


def _echo(argv: Sequence[str]) -> None:
    say(f"+ {shlex.join(argv)}")
