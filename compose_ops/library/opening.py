"""The composition root: from flags to the project, its mode and its engine."""

import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from compose_ops import redaction
from compose_ops.composition import OPERATIONS
from compose_ops.config import Config, load
from compose_ops.console import say
from compose_ops.docker.api import (
    DIRECTORY_LABEL,
    TIMEOUT,
    Container,
    Echo,
    Engine,
    EngineInfo,
    Service,
)
from compose_ops.errors import ConfigurationError, EngineUnavailable, UsageError
from compose_ops.project import compose_values, discovery, env_file
from compose_ops.project.discovery import Found
from compose_ops.project.interpolation import variables
from compose_ops.project.labels import with_labels
from compose_ops.project.model import Model
from compose_ops.project.modes import BASE, GPU_CHOICES, Mode, Modes, facts, labelled
from compose_ops.project.paths import DEPLOYED_FILE, GATEWAY_FILE, STATE
from compose_ops.runtime import passing
from compose_ops.runtime.context import StackContext, of_another_checkout
from compose_ops.runtime.deployed import deployed_files
from compose_ops.state import folder as state
from compose_ops.state import store

READ_ONLY_TIMEOUT = 5.0
"""Seconds for an engine's answer to a task that goes on without one."""

_UNSET = re.compile(r'The "(\w+)" variable is not set')

GPU_WISHES = {"auto": None, "on": True, "off": False}


@dataclass(frozen=True, slots=True)
class Selection:
    """
    What selects a project and its mode; the defaults take what is there.

    `folder` is where to look from, upwards; None is the current one. `files` replace
    every other source of compose files. Without `modes`, `overlays` and a `gpu` other
    than "auto" the mode is the one that was started.
    """

    folder: Path | None = None
    modes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    overlays: tuple[str, ...] = ()
    gpu: str = "auto"

    @property
    def is_moded(self) -> bool:
        return bool(self.modes or self.overlays or self.gpu != "auto")

    @property
    def start(self) -> Path:
        return (self.folder or Path.cwd()).resolve()


@dataclass(frozen=True, slots=True)
class Place:
    """A project on this machine: its configuration, its files, its modes."""

    config: Config
    found: Found
    modes: Modes

    @property
    def root(self) -> Path:
        return self.found.directory

    @property
    def backups(self) -> Path:
        return self.config.destination

    def values(self, names: Iterable[str]) -> Mapping[str, str]:
        """
        Return what Compose makes of variables of the env files, or of their example.

        ConfigurationError where it cannot read them, EngineUnavailable without it.
        """
        example = self.config.example
        files = (example, *self.found.env_files)
        return compose_values.resolved(
            docker_client(),
            names,
            {**env_file.read(example), **self.found.values},
            [file for file in files if file.exists()],
            literal=os.environ,
        )


def find(selection: Selection, *, lenient: bool = False) -> Place:
    """
    Return the project that is meant, without asking an engine.

    Raises ConfigurationError where there is none, and for a `compose-ops.toml` that is
    wrong.
    """
    start = selection.start
    stating = discovery.config_folder(start)
    config = load(stating) if stating else Config()
    directory = config.project_directory
    found = discovery.find(
        start,
        files=selection.files,
        stated=tuple(map(config.path, config.files)),
        directory=config.path(directory) if directory else None,
        is_moded=selection.is_moded,
        lenient=lenient,
    )
    if stating is None:
        config = replace(config, folder=found.directory)
    if found.origin in {"flags", "COMPOSE_FILE"} and not selection.is_moded:
        return Place(config, found, Modes(found.files))
    return Place(config, found, config.modes_of(found.files))


def open_stack(
    selection: Selection | None = None,
    *,
    need_engine: bool = True,
    read_only: bool = False,
    dry: bool = False,
    echo: bool = False,
) -> StackContext:
    """
    Open the stack that the selection names, or the one that was started.

    Raises UsageError for modes that contradict each other; unless it is only looked at,
    ConfigurationError when another checkout runs a project of this name, and
    EngineUnavailable.
    """
    wanted = selection or Selection()
    if wanted.gpu not in GPU_CHOICES:
        raise UsageError(f"--gpu {wanted.gpu!r} is unknown", hint="auto, on or off")
    place = find(wanted, lenient=read_only)
    redaction.learn_mapping(place.found.values)
    flags = place.modes.select(wanted.modes, overlays=wanted.overlays)
    echo_to = _echo if echo else lambda _argv: None
    warnings = _Warnings(place, is_quiet=read_only)
    opening = _Opening(place, echo_to, read_only=read_only, warn=warnings.say)
    (everyone, info), (project, merged) = opening.observe(
        flags, need_engine=need_engine and not read_only
    )
    warnings.begin()
    on_swarm = opening.services(project, info)
    origin, files = _started(on_swarm or everyone, project)
    other = origin if origin not in {None, place.root} else None
    if other is not None and not read_only:
        raise of_another_checkout(project, other, place.root)
    started = place.modes.from_files(files) if files and not other else None
    if started is not None and on_swarm:
        started = replace(started, swarm=True)
    mode, why = selected(place, wanted, started, info)
    if not read_only:
        for line in (*_since_start(place, mode, started, files), *_unused(place, mode)):
            say(line)
    deployed: tuple[Path, ...] = ()
    if info is not None:
        deployed = deployed_files(
            place.root,
            project,
            info,
            OPERATIONS.deployed_text,
            read_only=read_only or dry,
        )
    known = merged if mode.files == flags.files else None
    keep = state.of(place.root, info.id, project) if info and not read_only else None
    fronted = opening.gateway(mode, project, known, None if dry else keep)
    return StackContext(
        collaborators=OPERATIONS,
        root=place.root,
        project=project,
        mode=mode,
        engine=opening.engine(mode, project, (*fronted, *deployed)),
        everyone=everyone,
        started_as=started,
        mode_reason=why,
        dry=dry,
        known=info,
        reopen=lambda files: opening.engine(mode, project, (*fronted, *files)),
        other_checkout=other,
        service_settings=place.config.service_settings,
        product_files=tuple(map(place.config.path, place.config.products)),
        variables=place.found.values,
        env_files=place.found.env_files,
        config=place.config,
        modes=place.modes,
        merged=None if deployed or place.config.fronted else known,
        is_provisional=any(keep not in {None, file.parent} for file in deployed),
    )


def selected(
    place: Place, wanted: Selection, started: Mode | None, info: EngineInfo | None
) -> tuple[Mode, str]:
    """
    Return the mode of the flags, else the one that was started, and why its GPU.

    Files that `COMPOSE_FILE` or a flag names are no mode: they are what is meant.
    """
    named = place.found.origin in {"flags", "COMPOSE_FILE"}
    if started is not None and not wanted.is_moded and not named:
        return started, ""
    names, overlays = wanted.modes, wanted.overlays
    if started is not None and not (named or names or overlays):
        names, overlays = started.names, started.overlays
    gpu = GPU_WISHES[wanted.gpu]
    none = place.modes.without_gpu(names)
    if gpu and none:
        raise UsageError(
            f"--gpu on and --{none} exclude each other",
            hint="that mode computes on the CPU; leave one of them out",
        )
    mode = place.modes.select(names, overlays=overlays, facts=facts(info), gpu=gpu)
    return mode, _reason(place, mode, wanted.gpu, none)


def _since_start(
    place: Place, mode: Mode, started: Mode | None, files: Sequence[Path]
) -> Iterator[str]:
    """Yield where *files*, those of the start, are not what *mode* has today."""
    if mode is not started:
        return
    if mode.has_other_files:
        kept = ", ".join(_relative(place, mode.files))
        flag = mode.flags() or f"--mode {BASE}"
        yield f"compose files as they were started: {kept}; {flag} takes today's"
        return
    new = _relative(place, [file for file in mode.files if file not in files])
    gone = _relative(place, [file for file in files if file not in mode.files])
    changes = [*(f"{name} is new" for name in new), *(f"{n} is gone" for n in gone)]
    if changes:
        yield f"compose files changed since the start: {', '.join(changes)}"


def _unused(place: Place, mode: Mode) -> Iterator[str]:
    """Yield what plain Compose would take here, and this task does not."""
    found = place.found
    if found.origin in {"flags", "COMPOSE_FILE"}:
        return
    if found.values.get("COMPOSE_FILE"):
        yield "COMPOSE_FILE is not used beside --mode, --overlay and --gpu"
    known = {*place.modes.all_files(), *mode.files}
    first, *overrides = discovery.default_files(found.files[0].parent) or (None,)
    if first in found.files:
        for file in _relative(place, [one for one in overrides if one not in known]):
            yield f"{file} is not used: {found.origin} names the compose files"


def _relative(place: Place, files: Iterable[Path]) -> list[str]:
    return [os.path.relpath(file, place.root) for file in files]


def _reason(place: Place, mode: Mode, wish: str, none: str) -> str:
    """Say why a mode has a GPU or none, nothing where that makes no difference."""
    if none:
        return f"{none} computes on the CPU"
    if mode.gpu is None:
        return ""
    if wish != "auto":
        return f"--gpu {wish}"
    if mode.gpu:
        return "the engine has the nvidia runtime"
    cpu = (f for one in place.modes.switched if one.when == "no-gpu" for f in one.files)
    files = ", ".join(_relative(place, cpu))
    return "the engine has no nvidia runtime" + (f": {files}" if files else "")


@dataclass(slots=True)
class _Warnings:
    """Says each of Compose's warnings about a project's files once, after `begin`."""

    place: Place
    is_quiet: bool
    said: set[str] = field(default_factory=set)
    held: list[str] | None = field(default_factory=list)

    def begin(self) -> None:
        """Say what came before: where no engine answers, that alone is said."""
        held, self.held = self.held or [], None
        for warning in held:
            self.say(warning)

    def say(self, warning: str) -> None:
        if self.is_quiet:
            return
        if self.held is not None:
            self.held.append(warning)
            return
        text = self._worded(warning)
        if text not in self.said:
            self.said.add(text)
            say(f"warning: {text}")

    def _worded(self, warning: str) -> str:
        """Name the value that a `$` cuts in place of its rest, part of a secret."""
        unset = _UNSET.search(warning)
        for file in self.place.found.env_files if unset else ():
            for name, value in env_file.read(file).items():
                if unset and unset[1] in {one for one, _ in variables(value)}:
                    return (
                        f"a $ in the value of {name} in {file.name} starts a variable "
                        "that is not set: in single quotes it is a dollar"
                    )
        return warning


@dataclass(frozen=True, slots=True)
class _Opening:
    place: Place
    echo: Echo
    read_only: bool
    warn: Callable[[str], None] = lambda _warning: None

    def observe(
        self, flags: Mode, *, need_engine: bool
    ) -> tuple[
        tuple[tuple[Container, ...], EngineInfo | None],
        tuple[str, Mapping[str, Any] | None],
    ]:
        """Return the engine's containers and facts; the project's name, its model."""
        with ThreadPoolExecutor(1) as aside:
            asked = aside.submit(self.name, flags)
            seen = _observe(self.echo, need_engine=need_engine)
            return seen, asked.result()

    def name(self, flags: Mode) -> tuple[str, Mapping[str, Any] | None]:
        """Return the project's name, and the merged model where that says it."""
        stated = self.place.found.values.get("COMPOSE_PROJECT_NAME", "")
        if stated and "$" not in stated:
            return stated, None
        try:
            checked = not self.place.config.fronted
            merged = self.engine(flags, None).model(checked=checked)
        except (ConfigurationError, EngineUnavailable):
            if not self.read_only:
                raise
            return normalised(self.place.root.name), None
        return str(merged["name"]), merged

    def services(self, project: str, info: EngineInfo | None) -> tuple[Service, ...]:
        """Return the services of the stack, where the engine is a manager."""
        swarm = (info.raw.get("Swarm") or {}) if info else {}
        if not swarm.get("ControlAvailable"):
            return ()
        from compose_ops.docker.client import DockerEngine

        timeout = READ_ONLY_TIMEOUT if self.read_only else TIMEOUT
        bare = DockerEngine(echo=self.echo, timeout=timeout)
        found = bare.stack_services(project)
        return tuple(one for one in found if DIRECTORY_LABEL in one.labels)

    def gateway(
        self,
        mode: Mode,
        project: str,
        merged: Mapping[str, Any] | None,
        keep: Path | None,
    ) -> tuple[Path, ...]:
        """
        Return the compose file with the gateways that the configuration asks for.

        Where there is no state to *keep* it in yet, it is a file that goes with this
        process: nothing is written to a project that is only looked at.
        """
        try:
            text = self.gateway_text(mode, project, merged)
        except (ConfigurationError, EngineUnavailable):
            if not self.read_only:
                raise
            return ()
        if not text:
            return ()
        folder = keep if keep and keep.is_dir() else passing.folder()
        store.write(folder / GATEWAY_FILE, text)
        return (folder / GATEWAY_FILE,)

    def gateway_text(
        self, mode: Mode, project: str, merged: Mapping[str, Any] | None = None
    ) -> str:
        """Return that compose file's text, "" for none; *merged* is without it."""
        config = self.place.config
        if not config.fronted or mode.swarm:
            return ""
        # Two replicas contradict a fixed name, which the gateway's file takes away.
        raw = merged or self.engine(mode, project).model(checked=False)
        return OPERATIONS.gateway_overlay(
            Model(with_labels(raw, config.service_settings)), config
        )

    def engine(
        self, mode: Mode, project: str | None, further: Sequence[Path] = ()
    ) -> Engine:
        from compose_ops.docker.client import DockerEngine

        place = self.place
        example = env_file.read(place.config.example)
        return DockerEngine(
            files=[*mode.files, *further],
            project=project,
            directory=place.root,
            env_files=place.found.env_files,
            environment=place.modes.environment(mode, place.found.values, example),
            echo=self.echo,
            warn=self.warn,
        )


def project_name(place: Place) -> str:
    """Return the project's name as far as it can be known without an engine."""
    flags = place.modes.select((), overlays=())
    return _Opening(place, lambda _argv: None, read_only=True).name(flags)[0]


def normalised(name: str) -> str:
    """
    Return a folder's name as Compose makes a project's name of it.

    >>> normalised("My App.2")
    'myapp2'
    """
    return re.sub(r"[^a-z0-9_-]", "", name.lower()).lstrip("_-")


def gateway_text(place: Place, mode: Mode, project: str) -> str:
    """
    Return the compose file with the gateways that the configuration asks for.

    "" for none. Raises ConfigurationError for what no gateway can stand in front of.
    """
    return _Opening(place, lambda _argv: None, read_only=True).gateway_text(
        mode, project
    )


def docker_client(*, echo: bool = False) -> Engine:
    """Return docker's client without any project; whether an engine answers is open."""
    from compose_ops.docker.client import DockerEngine

    return DockerEngine(echo=_echo if echo else lambda _argv: None)


def host_engine() -> Engine | None:
    """Return the engine without any project, None where none answers."""
    engine = docker_client()
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
    everyone: Sequence[Container | Service], project: str
) -> tuple[Path | None, tuple[Path, ...]]:
    """Return the folder and the files that a project was started with, if it was."""
    own = [s for s in everyone if isinstance(s, Service) or s.project == project]
    if not own:
        return None, ()
    newest = max(own, key=lambda one: str(one.created))
    folder, files = labelled(newest.labels)
    return folder, tuple(file for file in files if not _is_deployed(file))


def _is_deployed(file: Path) -> bool:
    """Tell whether an update wrote a file; later tasks add it themselves."""
    if file.name == GATEWAY_FILE:
        return STATE in file.parts or file.parent.name.startswith(passing.PREFIX)
    return file.name == DEPLOYED_FILE or file.match("candidate-*.yml")


def _echo(argv: Sequence[str]) -> None:
    say(f"+ {shlex.join(argv)}")
