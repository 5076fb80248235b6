"""Which compose files make up a project: its modes and its overlays."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, product
from pathlib import Path

from compose_ops.docker.api import DIRECTORY_LABEL, FILES_LABEL, EngineInfo
from compose_ops.errors import UsageError
from compose_ops.project.paths import TAKEN

GPU_CHOICES = ("auto", "on", "off")
GPU, NO_GPU = "gpu", "no-gpu"
BASE = "base"

FACTS: Mapping[str, Callable[[EngineInfo], bool]] = {
    GPU: lambda info: "nvidia" in info.runtimes,
    NO_GPU: lambda info: "nvidia" not in info.runtimes,
    "rootless": lambda info: "name=rootless" in (info.raw.get("SecurityOptions") or ()),
    "amd64": lambda info: info.raw.get("Architecture") in {"x86_64", "amd64"},
    "arm64": lambda info: info.raw.get("Architecture") in {"aarch64", "arm64"},
}
"""What an overlay's `when` may name; nothing else about an engine switches files."""


@dataclass(frozen=True, slots=True)
class ModeSettings:
    """A mode as `compose-ops.toml` states it; its files are absolute."""

    name: str
    files: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    combines: bool = False
    only_with: tuple[str, ...] = ()
    swarm: bool = False
    gpu: bool = True
    production: bool = False
    substitutes: bool = False


@dataclass(frozen=True, slots=True)
class OverlaySettings:
    """Files that an engine's fact switches on."""

    name: str
    when: str
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Mode:
    """
    How the project is (to be) started: its compose files in the order of `-f`.

    `names` are the modes of `compose-ops.toml` that are on, `overlays` the further ones
    that were asked for. `gpu` says whether a GPU is asked for; None where no overlay
    depends on that. `has_other_files` tells of files that no mode explains.
    `production` and `substitutes` say what doctor may expect: real secrets; stand-ins
    that need neither secrets nor the real products' resources. `swarm` says that it
    runs on the nodes of a Swarm.
    """

    names: tuple[str, ...] = ()
    files: tuple[Path, ...] = field(default=(), compare=False)
    overlays: tuple[str, ...] = ()
    gpu: bool | None = None
    has_other_files: bool = False
    environment: Mapping[str, str] = field(default_factory=dict, compare=False)
    production: bool = field(default=False, compare=False)
    substitutes: bool = field(default=False, compare=False)
    swarm: bool = field(default=False, compare=False)

    @property
    def name(self) -> str:
        """The mode's first name, that of the one that does not combine."""
        return self.names[0] if self.names else BASE

    def flags(self) -> str:
        """Return the flags of `up` that select this mode."""
        words = [f"--{'mode ' * (name in TAKEN)}{name}" for name in self.names]
        words += [f"--overlay {name}" for name in self.overlays]
        return " ".join(words)

    def __str__(self) -> str:
        device = [] if self.gpu is None else ["GPU" if self.gpu else "CPU"]
        other = ["other files"] if self.has_other_files else []
        return ", ".join([*(self.names or (BASE,)), *device, *self.overlays, *other])


@dataclass(frozen=True, slots=True)
class Modes:
    """
    Every mode that a project has.

    `base` are the files of all modes; `overlay_folder` holds NAME.yml or NAME.yaml for
    `--overlay NAME`.
    """

    base: tuple[Path, ...]
    modes: Mapping[str, ModeSettings] = field(default_factory=dict)
    switched: tuple[OverlaySettings, ...] = ()
    overlay_folder: Path | None = None

    def select(
        self,
        names: Iterable[str] = (),
        *,
        overlays: Iterable[str] = (),
        facts: Iterable[str] = (),
        gpu: bool | None = None,
    ) -> Mode:
        """
        Return the mode of these names; UsageError for names that are unknown.

        *facts* are those of the engine; *gpu* overrides what they say about a GPU.

        >>> Modes((Path("/srv/compose.yaml"),)).select().files
        (PosixPath('/srv/compose.yaml'),)
        """
        chosen = self._ordered(names)
        known = set(facts) if gpu is None else {*facts} - {GPU, NO_GPU}
        known |= set() if gpu is None else {GPU if gpu else NO_GPU}
        if not all(mode.gpu for mode in chosen):
            known -= {GPU, NO_GPU}
        on = [one for one in self.switched if one.when in known]
        wanted = tuple(dict.fromkeys(overlays))
        parts = (
            self.base,
            *(mode.files for mode in chosen),
            *(one.files for one in on),
            *((self.overlay(name),) for name in wanted),
        )
        return Mode(
            names=tuple(mode.name for mode in chosen),
            files=tuple(chain.from_iterable(parts)),
            overlays=wanted,
            gpu=self._gpu(chosen, known),
            environment={k: v for mode in chosen for k, v in mode.environment.items()},
            production=any(mode.production for mode in chosen),
            substitutes=any(mode.substitutes for mode in chosen),
            swarm=any(mode.swarm for mode in chosen),
        )

    def _ordered(self, names: Iterable[str]) -> list[ModeSettings]:
        """Return the modes of these names, those that combine with others last."""
        chosen = [self._mode(name) for name in dict.fromkeys(names) if name != BASE]
        chosen.sort(key=lambda mode: mode.combines)
        alone = [mode.name for mode in chosen if not mode.combines]
        if len(alone) > 1:
            words = " and ".join(f"--{name}" for name in alone)
            raise UsageError(f"{words} exclude each other", hint="give one of them")
        for mode in chosen:
            if mode.only_with and not set(mode.only_with).intersection(alone):
                needed = " or ".join(f"--{name}" for name in mode.only_with)
                raise UsageError(
                    f"--{mode.name} goes only with {needed}", hint="give that, too"
                )
        return chosen

    def _mode(self, name: str) -> ModeSettings:
        if name not in self.modes:
            known = ", ".join((BASE, *self.modes))
            raise UsageError(f"no mode named {name!r}", hint=f"one of: {known}")
        return self.modes[name]

    def _gpu(self, chosen: Sequence[ModeSettings], known: set[str]) -> bool | None:
        """Say whether a GPU is asked for, None where that changes no file."""
        if not any(one.when in {GPU, NO_GPU} for one in self.switched):
            return None
        if not all(mode.gpu for mode in chosen):
            return None
        return GPU in known or NO_GPU not in known

    def without_gpu(self, names: Iterable[str]) -> str:
        """Return the first of the modes that never asks for a GPU, "" for none."""
        found = (mode.name for mode in self._ordered(names) if not mode.gpu)
        return next(found, "")

    @property
    def substituting(self) -> str:
        """The first mode whose images stand in for the real ones, "" for none."""
        found = (name for name, mode in self.modes.items() if mode.substitutes)
        return next(found, "")

    def overlay(self, name: str) -> Path:
        """Return the file of `--overlay NAME`; UsageError where there is none."""
        for path in self._overlay_files():
            if path.stem == name:
                return path
        names = ", ".join(sorted({path.stem for path in self._overlay_files()}))
        raise UsageError(
            f"no overlay named {name!r}",
            hint=f"one of: {names}"
            if names
            else "name a folder of overlays in compose-ops.toml: overlay_folder",
        )

    def further(self) -> tuple[str, ...]:
        """Return the names for `--overlay` that neither a mode nor a fact uses."""
        modes = (file for mode in self.modes.values() for file in mode.files)
        used = {*modes, *(file for one in self.switched for file in one.files)}
        return tuple(sorted(p.stem for p in self._overlay_files() if p not in used))

    def all_files(self) -> Iterator[Path]:
        """Yield every compose file that a task can select."""
        yield from self.base
        for mode in self.modes.values():
            yield from mode.files
        for one in self.switched:
            yield from one.files
        yield from sorted(self._overlay_files())

    def _overlay_files(self) -> Iterator[Path]:
        if self.overlay_folder is not None:
            for pattern in ("*.yml", "*.yaml"):
                yield from self.overlay_folder.glob(pattern)

    def combinations(self) -> Iterator[tuple[str, Mode]]:
        """
        Yield every combination that a task can select, by name.

        Each mode alone and with one that combines with it, with and without a GPU where
        files depend on it, alone and with each further overlay.
        """
        alone = [BASE, *(m.name for m in self.modes.values() if not m.combines)]
        added = [(), *((m.name,) for m in self.modes.values() if m.combines)]
        switches = [one.when for one in self.switched]
        for name, more in product(alone, added):
            names = (name, *more)
            if any(self._refuses(mode, name) for mode in more):
                continue
            for gpu, further in product(self._devices(names), self._further()):
                device = ["cpu"] if gpu is False else []
                title = "+".join([*names, *device, *further])
                yield (
                    title,
                    self.select(names, overlays=further, facts=switches, gpu=gpu),
                )

    def _refuses(self, name: str, other: str) -> bool:
        """Say whether a mode that combines does not go with *other*."""
        wanted = self.modes[name].only_with
        return bool(wanted) and other not in wanted

    def _further(self) -> list[tuple[str, ...]]:
        return [(), *((name,) for name in self.further())]

    def _devices(self, names: Sequence[str]) -> tuple[bool | None, ...]:
        depends = any(one.when in {GPU, NO_GPU} for one in self.switched)
        return (True, False) if depends and not self.without_gpu(names) else (None,)

    def from_files(self, files: Sequence[Path]) -> Mode:
        """
        Return the mode that was started with *files*.

        What no mode explains stays as it is: these very files, where they still exist.
        Where today's files have all of these that still exist, it is today's: others
        joined the base, or one was renamed.
        """
        there = set(files)
        names = [m.name for m in self._largest(there)]
        on = [one for one in self.switched if one.files and there >= set(one.files)]
        modes = (file for name in names for file in self.modes[name].files)
        explained = {*self.base, *modes, *(file for one in on for file in one.files)}
        overlays = [p.stem for p in self._overlay_files() if p in there - explained]
        overlays.sort(key=[path.stem for path in files].index)
        found = self.select(
            names, overlays=overlays, facts=[one.when for one in on], gpu=None
        )
        left = {file for file in there if file.exists()}
        is_known = left < there or there & set(self.base)
        if there == set(found.files) or (is_known and left <= set(found.files)):
            return found
        return Mode(
            names=found.names,
            has_other_files=True,
            files=tuple(file for file in files if file.exists()),
            environment=found.environment,
            production=found.production,
            substitutes=found.substitutes,
            swarm=found.swarm,
        )

    def _largest(self, there: set[Path]) -> list[ModeSettings]:
        """Return the modes whose files are there: one, and those that combine."""
        found = [m for m in self.modes.values() if m.files and there >= set(m.files)]
        alone = [mode for mode in found if not mode.combines]
        best = sorted(alone, key=lambda mode: len(mode.files))[-1:]
        return [*best, *(mode for mode in found if mode.combines)]

    def environment(
        self, mode: Mode, values: Mapping[str, str], defaults: Mapping[str, str]
    ) -> dict[str, str]:
        """
        Return the variables that *mode* sets over *values*, those of `.env`.

        A value of a mode that is off, written to `.env` by `init`, gives way to the
        *defaults* of the example.
        """
        off = {
            name: defaults[name]
            for other in self.modes.values()
            if other.name not in mode.names
            for name, value in other.environment.items()
            if values.get(name) == value and name in defaults
        }
        return {**off, **mode.environment}


def facts(info: EngineInfo | None) -> tuple[str, ...]:
    """Return the facts of an engine; without one, that it has no GPU."""
    if info is None:
        return (NO_GPU,)
    return tuple(name for name, holds in FACTS.items() if holds(info))


def labelled(labels: Mapping[str, str]) -> tuple[Path, tuple[Path, ...]]:
    """Return the project directory and the files that Compose's labels name."""
    named = labels.get(FILES_LABEL, "").split(",")
    files = tuple(Path(file).resolve() for file in named if file)
    return Path(labels.get(DIRECTORY_LABEL, "")).resolve(), files
