"""What rules look at: the merged model, the files behind it, and images' facts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from compose_ops.lint.composefile import Document
from compose_ops.lint.dockerfile import Dockerfile, Stage
from compose_ops.lint.env_files import EnvFile, EnvLine
from compose_ops.lint.image_facts import ImageFacts
from compose_ops.lint.service_images import facts_of
from compose_ops.lint.stores import Store, store_of
from compose_ops.units import whole

__all__ = ["Build", "EnvFile", "EnvLine", "LintTarget", "Machine", "Service", "words"]


@dataclass(frozen=True, slots=True)
class Build:
    """
    What a service is built from.

    `ignore` are the lines of the context's ignore file, None without one; `absent`
    are sources of COPY and ADD that the context does not hold, `made_before` those of
    them that a step before the build makes; `present` are the context's top-level
    names, and `there` the secret files that are in it.
    """

    context: Path
    dockerfile: Dockerfile
    ignore: tuple[str, ...] | None = None
    absent: frozenset[str] = frozenset()
    present: frozenset[str] = frozenset()
    made_before: frozenset[str] = frozenset()
    there: frozenset[str] = frozenset()


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
    engine's; `memory` the bytes that the project's settings state for containers;
    `start_timeout` the seconds for which a start waits for health, 0 where nobody
    states any; `refusals` the path and Compose's words where it refused the files, with
    `model` made without what it refused; `unset` the variables that nobody sets,
    `placeholders` what stands in the model for those that may not be empty; `compose`
    False where there is no Compose to ask; `scopes` which rules apply: `combination`
    for this set of files, `project` when the documents are all that the project has.
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
    memory: int = 0
    start_timeout: float = 0.0
    refusals: tuple[tuple[tuple[str | int, ...], str], ...] = ()
    unset: frozenset[str] = frozenset()
    placeholders: Mapping[str, str] = field(default_factory=dict)
    compose: bool = True
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

    @cached_property
    def waiting(self) -> "Mapping[str, list[tuple[Service, str]]]":
        """Who depends on each service, and with which condition."""
        found: dict[str, list[tuple[Service, str]]] = {}
        for one in self.services:
            for name, spec in one.dependencies.items():
                condition = str((spec or {}).get("condition") or "service_started")
                found.setdefault(name, []).append((one, condition))
        return found

    @cached_property
    def by_name(self) -> "Mapping[str, Service]":
        """The services by name."""
        return {one.name: one for one in self.services}

    def service(self, name: str) -> "Service | None":
        """Return the service of that name, or None."""
        return self.by_name.get(name)

    @cached_property
    def is_swarm(self) -> bool:
        """Whether the files are a swarm stack: they place services on nodes."""
        return any(
            one.get("deploy", "placement", "constraints")
            or one.get("deploy", "placement", "preferences")
            or one.get("deploy", "endpoint_mode")
            or one.get("deploy", "mode") in {"global", "global-job", "replicated-job"}
            for one in self.services
        ) or any(
            spec.get("driver") == "overlay" and not spec.get("attachable")
            for spec in self.networks.values()
        )

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
    def needed_stages(self) -> tuple[Stage, ...]:
        """The stages that BuildKit builds for the image, in their order."""
        if self.build is None or self.stage is None:
            return ()
        return self.build.dockerfile.needed(self.stage)

    @cached_property
    def image(self) -> str:
        """The image that runs, or for a build the image that it starts from."""
        if self.get("build"):
            return self.stages[-1].base if self.stages else ""
        return str(self.get("image", default=""))

    @cached_property
    def facts(self) -> ImageFacts:
        """What is known of the image: asked of it, else of its base and Dockerfile."""
        asked = self.subject.images.get(self.name)
        return facts_of(self.image, self.stages[::-1], asked)

    @cached_property
    def dependencies(self) -> Mapping[str, Any]:
        """What it depends on, each with its condition."""
        found = self.get("depends_on", default={})
        return found if isinstance(found, Mapping) else dict.fromkeys(found)

    @cached_property
    def store(self) -> Store | None:
        """The store that it runs, None for another program."""
        return store_of(self.image)

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """The environment; a variable without a value is empty."""
        found = self.get("environment", default={})
        found = found if isinstance(found, Mapping) else {}
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
        wanted = self.get("deploy", "replicas", default=self.get("scale", default=1))
        return 1 if (number := whole(str(wanted))) is None else number

    @cached_property
    def ports(self) -> tuple[Mapping[str, Any], ...]:
        """The published ports in long form."""
        found = self.get("ports", default=[])
        return tuple(port for port in found if port.get("target"))

    @cached_property
    def rolls(self) -> bool:
        """Whether the rolling update of this package is set up for it."""
        labels = self.get("labels", default={})
        return any(str(one).startswith(ROLLOUT) for one in labels)

    @cached_property
    def starts_first(self) -> bool:
        """Whether an update starts the new container before it stops the old one."""
        order = self.get("deploy", "update_config", "order")
        return bool(order == "start-first" and self.rolls)

    @cached_property
    def profiles(self) -> frozenset[str]:
        """The profiles that it belongs to, none for one that always starts."""
        return frozenset(map(str, self.get("profiles", default=[])))

    def together(self, other: "Service") -> bool:
        """Say whether one `up` may start both: their profiles do not exclude it."""
        if not self.profiles or not other.profiles or self.profiles & other.profiles:
            return True
        return other.name in self.dependencies or self.name in other.dependencies

    def volumes(self, *kinds: str) -> Iterator[Mapping[str, Any]]:
        """Yield the mounts of these kinds (`volume`, `bind`, `tmpfs`)."""
        for mount in self.get("volumes", default=[]):
            if mount.get("type") in kinds and mount.get("target"):
                yield mount


ROLLOUT = "compose-ops.rollout."


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
