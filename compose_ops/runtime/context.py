"""A project in a mode on an engine: what every operation gets first."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

from compose_ops.config import Config
from compose_ops.docker.api import Container, Engine, EngineInfo, Network, Volume
from compose_ops.errors import ComposeOpsError, ConfigurationError
from compose_ops.project import compose_values, secrets
from compose_ops.project.labels import with_labels
from compose_ops.project.model import Model
from compose_ops.project.modes import Mode, Modes
from compose_ops.project.paths import sets_folder
from compose_ops.runtime.deployed import deployed_files
from compose_ops.runtime.once import Once
from compose_ops.state import folder
from compose_ops.state.store import StateFile


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
        self,
        stack: "StackContext",
        services: Iterable[str],
        *,
        stopped: Collection[str] = (),
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

    def start(
        self,
        stack: "StackContext",
        services: Iterable[str],
        compose: Callable[[], None],
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
    def moved_at(self) -> datetime: ...

    @property
    def is_outlived(self) -> bool: ...


class VersionJump(Protocol):
    """A store whose data another version made; its text says all of it."""

    @property
    def is_back(self) -> bool: ...


class Backups(Protocol):
    """What `down`, `status` and doctor ask about backup sets and restore points."""

    def newest_verified(self, stack: "StackContext") -> Sequence[datetime]:
        """Return when the newest verified set of each destination was taken."""

    def set_folders(self, stack: "StackContext") -> Sequence[Path]:
        """
        Return the folders where sets of the project may lie, its own first.

        Raises DataError where what was remembered is damaged.
        """

    def password_files(self, stack: "StackContext") -> Sequence[Path]: ...

    def helper_images(
        self, stack: "StackContext"
    ) -> Sequence[tuple[str, Sequence[str]]]:
        """Return the images that backups need, each with what it can be built on."""

    def newest_size(self, stack: "StackContext") -> int: ...

    def restore_points(
        self, stack: "StackContext"
    ) -> tuple[Sequence[KeptData], Sequence[str]]:
        """Return what can come back, and a line on what went with each volume."""

    def restore_points_as_json(
        self, stack: "StackContext"
    ) -> list[Mapping[str, Any]]: ...

    def undeclared(self, stack: "StackContext") -> Sequence[str]:
        """
        Return the writable mounts that nobody declares as data or as disposable.

        Raises ConfigurationError for labels that make no sense.
        """

    def version_jumps(
        self, stack: "StackContext", services: Iterable[str]
    ) -> Sequence[VersionJump]: ...

    def remember_ends(
        self, stack: "StackContext", before: tuple[Container, ...]
    ) -> None: ...

    def forget_removed_volumes(self, stack: "StackContext") -> None: ...


class PointCost(Protocol):
    """What a copy of a store's data takes: bytes, free bytes, and seconds."""

    @property
    def bytes(self) -> int: ...

    @property
    def free(self) -> int: ...

    @property
    def seconds(self) -> float: ...

    @property
    def shared(self) -> bool:
        """Whether the copy shares its blocks with the data until one changes."""


class StorePoints(Protocol):
    """
    What an update asks about a store: restore points of its data, and versions.

    A point is an id of a copy beside the data, or SET: and the id of a set. What is
    done to one can be repeated; DataError where it cannot be done.
    """

    def has_data(self, stack: "StackContext", service: str) -> bool: ...

    def measure(self, stack: "StackContext", service: str) -> PointCost:
        """Return what a point costs; DataError where one cannot be, or has no room."""

    def accept(self, stack: "StackContext", service: str, set_id: str) -> str:
        """Return a set as a point; DataError for one that is not proven, or too old."""

    def make(self, stack: "StackContext", service: str, point: str) -> None: ...

    def bring_back(self, stack: "StackContext", service: str, point: str) -> None:
        """Put the data of a point in the place of the present one, which is lost."""

    def keep(self, stack: "StackContext", service: str, point: str) -> None:
        """List a point that an update leaves, for `restore --undo`."""

    def drop(self, stack: "StackContext", service: str, point: str) -> None: ...

    def version(self, stack: "StackContext", service: str, image: str) -> str:
        """Return the version of a store in an image, "" where nothing tells it."""


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
    def store_points(self) -> StorePoints: ...

    @property
    def prepare_images(self) -> Callable[["StackContext"], None]: ...

    @property
    def state_files(self) -> Sequence[StateFile[Any]]: ...

    @property
    def deployed_text(self) -> Callable[[Path], str | None]:
        """
        What returns the compose file of what is deployed, as a state remembers it.

        None where it remembers nothing that can be read.
        """

    @property
    def helper_image(self) -> "Callable[[StackContext], str]":
        """What returns the name of a local image with python3."""


@dataclass
class StackContext:
    """
    A project in a mode on an engine.

    `root` is Compose's project directory; `everyone` holds the containers of all
    projects as they were when it was opened, `merged` a model that is known already.
    `variables` are those of the `env_files` and the shell, as they are written.
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
    variables: Mapping[str, str] = field(default_factory=dict)
    env_files: Sequence[Path] = ()
    config: Config = field(default_factory=Config)
    modes: Modes = field(default_factory=lambda: Modes(()))
    merged: Mapping[str, Any] | None = None
    is_provisional: bool = False
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
    def backups(self) -> Path:
        """The folder of the project's backup sets, where no other is named."""
        folder = self.config.folder if self.config.folder.is_absolute() else self.root
        return sets_folder(folder, self.config.backup.destination)

    def values(self, names: Iterable[str]) -> Mapping[str, str]:
        """
        Return the values that Compose gives to variables; those without one lack.

        Raises ConfigurationError for env files that it cannot read.
        """
        stated = self.mode.environment
        return compose_values.resolved(
            self.engine,
            names,
            {**self.variables, **stated},
            self.env_files,
            literal={**os.environ, **stated},
        )

    @property
    def one_offs(self) -> tuple[Container, ...]:
        """The project's containers that `docker compose run` made."""
        return tuple(
            c for c in self.everyone if c.project == self.project and c.is_one_off
        )

    def __post_init__(self) -> None:
        for container in (*self.containers, *self.one_offs):
            secrets.learn_container(container)
        for file in self.config.secret_files(self.root):
            secrets.learn_file(file, key=file.name)
        first, self.merged = self.merged, None
        self._forget(first)
        self._plugins = Once(self.engine.plugins)
        self._networks = Once(self.engine.networks)
        self._volumes = Once(lambda: self.engine.volumes(project=self.project))

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
        files = deployed_files(
            self.root,
            self.project,
            self.info,
            self.collaborators.deployed_text,
            read_only=self.dry,
            is_locked=True,
        )
        self.engine = self.with_files(files)
        self._forget()

    def _forget(self, merged: Mapping[str, Any] | None = None) -> None:
        self._model = Once(lambda: self._merged(merged))
        self._hashes = Once(lambda: {**self.engine.config_hashes()})

    def _merged(self, merged: Mapping[str, Any] | None) -> Model:
        try:
            raw = merged or self.engine.model()
        except ComposeOpsError:
            secrets.learn_stated(self.mode.files, self.root, self.variables)
            raise
        secrets.learn(raw, self.variables or None)
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
    def networks(self) -> tuple[Network, ...]:
        """The engine's networks, as they were when somebody first asked."""
        return self._networks.answer()

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """The project's volumes, as they were when somebody first asked."""
        return self._volumes.answer()

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


def of_another_checkout(project: str, origin: Path, root: Path) -> ConfigurationError:
    """Return the refusal of a project whose name another checkout uses."""
    gone = "" if origin.exists() else ", which is gone"
    return ConfigurationError(
        f"the project {project} was started from {origin}{gone}, not from {root}",
        hint=f"docker compose -p {project} down ends that one; another "
        "COMPOSE_PROJECT_NAME in .env lives beside it",
    )
