"""What rules look at: the merged model, the files behind it, and images' facts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from compose_ops.lint.composefile import Document
from compose_ops.lint.dockerfile import Dockerfile, Stage
from compose_ops.lint.image_facts import ImageFacts


@dataclass(frozen=True, slots=True)
class Build:
    """
    What a service is built from.

    `ignore` are the lines of the context's ignore file, None without one; `absent`
    are sources of COPY and ADD that the context does not hold; `present` are the
    context's top-level names.
    """

    context: Path
    dockerfile: Dockerfile
    ignore: tuple[str, ...] | None = None
    absent: frozenset[str] = frozenset()
    present: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class EnvLine:
    """One line of an environment file: its number, its value, the comments above."""

    line: int
    value: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EnvFile:
    """An environment file such as `.env.example`, by variable."""

    path: Path
    lines: Mapping[str, EnvLine]


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine has: memory in bytes, cores; 0 where it is not known."""

    memory: int = 0
    cpus: float = 0.0


@dataclass(frozen=True)
class LintTarget:
    """
    One combination of compose files, ready to be judged.

    `model` is what `docker compose config --format json` prints; `documents` are the
    files in the order of `-f`; `others` the models of the project's other
    combinations; `images` what was asked of local images, by service; `machine` the
    engine's; `patience` the seconds for which a start waits for health; `refusals` the
    path and Compose's words where it refused the files, with `model` made without
    what it refused; `scopes` which rules apply: `combination` for this set of files,
    `project` when the documents are all that the project has.
    """

    name: str
    root: Path
    model: Mapping[str, Any]
    documents: tuple[Document, ...]
    builds: Mapping[str, Build] = field(default_factory=dict)
    example: EnvFile | None = None
    others: tuple[Mapping[str, Any], ...] = ()
    images: Mapping[str, ImageFacts] = field(default_factory=dict)
    machine: Machine = Machine()
    patience: float = 300.0
    refusals: tuple[tuple[tuple[str, ...], str], ...] = ()
    scopes: frozenset[str] = frozenset({"combination", "project"})

    @cached_property
    def services(self) -> "tuple[Service, ...]":
        """The services, in the model's order."""
        return tuple(
            Service(name, spec or {}, self)
            for name, spec in (self.model.get("services") or {}).items()
        )

    @cached_property
    def networks(self) -> Mapping[str, Mapping[str, Any]]:
        """The networks by name, each a mapping."""
        return {
            name: spec or {}
            for name, spec in (self.model.get("networks") or {}).items()
        }

    def service(self, name: str) -> "Service | None":
        """Return the service of that name, or None."""
        return next((one for one in self.services if one.name == name), None)

    def stated(self, key: str) -> Any:
        """Return a top-level value as the last document that has it states it."""
        found = [document.root.at(key) for document in self.documents]
        stated = [node.plain() for node in found if node is not None]
        return stated[-1] if stated else None


@dataclass(frozen=True)
class Service:
    """A service of the merged model, read through its build and its image."""

    name: str
    spec: Mapping[str, Any]
    subject: LintTarget

    def path(self, *steps: str | int) -> tuple[str | int, ...]:
        """Return a path below this service."""
        return ("services", self.name, *steps)

    def get(self, *steps: str, default: Any = None) -> Any:
        """Return the value at a path below, the default where a step is missing."""
        value: Any = self.spec
        for step in steps:
            value = value.get(step) if isinstance(value, Mapping) else None
        return default if value is None else value

    @cached_property
    def build(self) -> Build | None:
        """The build, when the service has one that could be read."""
        return self.subject.builds.get(self.name)

    @cached_property
    def stage(self) -> Stage | None:
        """The Dockerfile stage that becomes the image."""
        if self.build is None:
            return None
        return self.build.dockerfile.stage(self.get("build", "target"))

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """That stage and the ones below it, nearest first."""
        if self.build is None or self.stage is None:
            return ()
        return self.build.dockerfile.chain(self.stage)

    @cached_property
    def image(self) -> str:
        """The image that runs, or for a build the image that it starts from."""
        return (
            self.stages[-1].base if self.stages else str(self.get("image", default=""))
        )

    @cached_property
    def facts(self) -> ImageFacts:
        """What is known of the image: asked of it, else of its base and Dockerfile."""
        from compose_ops.lint.service_images import facts_of

        return facts_of(self)

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """The environment; a variable without a value is empty."""
        found = self.get("environment", default={})
        return {key: undollar("" if v is None else str(v)) for key, v in found.items()}

    @cached_property
    def command(self) -> tuple[str, ...]:
        """The command as Compose states it, else the image's."""
        return words(self.get("command")) or self.facts.command

    @cached_property
    def entrypoint(self) -> tuple[str, ...]:
        """The entry point as Compose states it, else the image's."""
        return words(self.get("entrypoint")) or self.facts.entrypoint

    @cached_property
    def argv(self) -> tuple[str, ...]:
        """All that is run: entry point and command."""
        return (*self.entrypoint, *self.command)

    @cached_property
    def networks(self) -> tuple[str, ...]:
        """The networks that it is on; none in another's or the host's namespace."""
        if self.get("network_mode"):
            return ()
        return tuple(self.get("networks", default={"default": None}))

    @cached_property
    def replicas(self) -> int:
        """How many containers are wanted."""
        return int(self.get("deploy", "replicas", default=self.get("scale", default=1)))

    @cached_property
    def ports(self) -> tuple[Mapping[str, Any], ...]:
        """The published ports in long form."""
        found = self.get("ports", default=[])
        return tuple(port for port in found if port.get("target"))

    @cached_property
    def starts_first(self) -> bool:
        """Whether an update starts the new container before it stops the old one."""
        return bool(self.get("deploy", "update_config", "order") == "start-first")

    def volumes(self, *kinds: str) -> Iterator[Mapping[str, Any]]:
        """Yield the mounts of these kinds (`volume`, `bind`, `tmpfs`)."""
        for mount in self.get("volumes", default=[]):
            if mount.get("type") in kinds and mount.get("target"):
                yield mount


def undollar(text: str) -> str:
    """Undo Compose's `$$`, which its printed model keeps."""
    return text.replace("$$", "$")


def words(value: object) -> tuple[str, ...]:
    """Return a command's words, none for null."""
    if isinstance(value, str):
        return tuple(undollar(value).split())
    if isinstance(value, list):
        return tuple(undollar(str(word)) for word in value)
    return ()
