"""An engine in memory on which Compose merges, builds and creates: whole updates."""

import copy
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from fakes import FakeEngine, container

from compose_ops.composition import OPERATIONS
from compose_ops.docker.api import (
    PROJECT_LABEL,
    Container,
    Engine,
    EngineInfo,
    Event,
    Image,
    Network,
    Output,
    Volume,
)
from compose_ops.project.modes import Mode
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.health import Clock
from compose_ops.state import folder

PROJECT = "trial"
UPDATED = {"update_config": {"monitor": "0s", "failure_action": "rollback"}}
APP = {"image": "app", "build": {"context": "."}, "deploy": {"replicas": 2, **UPDATED}}


class Silent:
    """An event stream that brings nothing."""

    def next(self, timeout: float) -> Event | None:
        del timeout
        return None


class Composing(FakeEngine):
    """
    Containers, images by tag, and compose files.

    *services* is what the files say. `bad` are the ids of images whose containers end
    as they start; `next_build` is the image that the next build makes.
    """

    def __init__(self, services: Mapping[str, Any]) -> None:
        super().__init__()
        self.services = services
        self.tags = {str(s["image"]): f"sha256:{s['image']}-1" for s in self._all()}
        self.known = set(self.tags.values())
        self.bad: set[str] = set()
        self.in_registry: set[str] = set()
        self.next_build = "sha256:built"
        self.overrides: Sequence[Path] = ()
        self.subnets: dict[str, str] = {}
        self._id = uuid.uuid4().hex

    def reading(self, files: Sequence[Path]) -> Engine:
        """Return the same engine with further compose files."""
        other = copy.copy(self)
        other.overrides = files
        return cast("Engine", other)

    def run_all(self) -> None:
        """Start all that the files name, as they are now."""
        self.up()

    def info(self) -> EngineInfo:
        return replace(super().info(), id=self._id)

    def plugins(self) -> Mapping[str, str]:
        return {"compose": "2.26.1"}

    def model(self) -> dict[str, Any]:
        services = copy.deepcopy(dict(self.services))
        for file in self.overrides:
            _override(services, file.read_text())
        networks = {
            name: {"ipam": {"config": [{"subnet": subnet}]}}
            for name, subnet in self.subnets.items()
        }
        return {"name": PROJECT, "services": services, "networks": networks}

    def config_hashes(self) -> dict[str, str]:
        return {n: _hash(service) for n, service in self.model()["services"].items()}

    def networks(self, *, project: str | None = None) -> tuple[Network, ...]:
        return tuple(n for n in self.nets if project in {None, n.labels[PROJECT_LABEL]})

    def volumes(self, *, project: str | None = None) -> tuple[Volume, ...]:
        del project
        return ()

    def usage(self, *containers: str) -> tuple[()]:
        del containers
        return ()

    def set_restart(self, container: str, policy: str) -> None:
        self.done.append(("set_restart", container, policy))

    @contextmanager
    def events(self, *filters: str, since: float | None = None) -> Iterator[Silent]:
        del filters, since
        yield Silent()

    def image(self, reference: str) -> Image | None:
        found = self.tags.get(reference, reference)
        tags = tuple(tag for tag, image in self.tags.items() if image == found)
        return Image(found, tags, 0, {}) if found in self.known else None

    def images(self, references: Iterable[str]) -> Mapping[str, Image]:
        found = {name: self.image(name) for name in references}
        return {name: image for name, image in found.items() if image}

    def registry_answers(self, reference: str, *, timeout: float) -> bool:
        del timeout
        return reference in self.in_registry

    def tag(self, image: str, tag: str) -> None:
        self.tags[tag] = self.tags.get(image, image)

    def remove_image(self, reference: str) -> None:
        del self.tags[reference]

    def build(self, services: Iterable[str] = (), *, cache: bool = True) -> None:
        for name in services:
            self.done.append(("build", name, cache))
            self.tags[self.model()["services"][name]["image"]] = self.next_build
            self.known.add(self.next_build)

    def pull(self, services: Iterable[str] = ()) -> None:
        for name in services:
            reference = self.model()["services"][name]["image"]
            self.known.add(f"sha256:{reference}-pulled")
            self.tags[reference] = f"sha256:{reference}-pulled"

    def up(
        self,
        services: Iterable[str] = (),
        *,
        start: bool = True,
        scale: Mapping[str, int] | None = None,
        **how: Any,
    ) -> None:
        services = tuple(services)
        self.done.append(("up", services, how))
        missing = scale or {n: self._replicas(n) for n in services or self.services}
        if not scale:
            hashes = self.config_hashes()
            known = [c for c in self.there if c.service in hashes]
            old = [c.id for c in known if c.config_hash != hashes[c.service]]
            self.done += [("recreate", reference) for reference in old]
        made = [c for n, count in missing.items() for c in self._create(n, count)]
        idle = [c for c in self.there if c.service in missing and not c.is_running]
        if start:
            self.start(*dict.fromkeys([*made, *(c.id for c in idle)]))

    def down(self, *, volumes: bool = False) -> None:
        del volumes
        self.there.clear()

    def container(self, reference: str) -> Container | None:
        return next((c for c in self.there if reference in {c.id, c.name}), None)

    def start(self, *containers: str) -> None:
        for each in self._those(containers):
            fails = each.image_id in self.bad
            self._change(
                each,
                state="exited" if fails else "running",
                health="" if fails else "healthy",
                exit_code=int(fails),
            )

    def stop(self, *containers: str, timeout: int | None = None) -> None:
        super().stop(*containers, timeout=timeout)
        for each in self._those(containers):
            self._change(each, state="exited", health="")

    def restart(self, *containers: str, timeout: int | None = None) -> None:
        self.done.append(("restart", containers, timeout))
        assert len(self._those(containers)) == len(containers)

    def connect(
        self, network: str, container: str, *, aliases: Sequence[str] = ()
    ) -> None:
        del aliases
        for each in self._those([container]):
            self._change(each, networks={**each.networks, network: "10.0.0.2"})

    def disconnect(self, network: str, container: str) -> None:
        for each in self._those([container]):
            left = {n: a for n, a in each.networks.items() if n != network}
            self._change(each, networks=left)

    def kill(self, container: str, signal: str = "KILL") -> None:
        self.done.append(("kill", container, signal))

    def remove(
        self, *containers: str, force: bool = False, volumes: bool = False
    ) -> None:
        del volumes
        super().remove(*containers, force=force)
        self.there[:] = [c for c in self.there if c.id not in containers]

    def rename(self, reference: str, name: str) -> None:
        for each in self._those([reference]):
            self._change(each, name=name)

    def docker(self, *arguments: str, timeout: float | None = None) -> Output:
        del timeout
        self.done.append(("docker", *arguments))
        return Output(0, "", "")

    def running(self, service: str) -> set[str]:
        """Return the ids of the images that the service's containers run."""
        return {c.image_id for c in self.there if c.service == service and c.is_running}

    def _all(self) -> Iterable[Mapping[str, Any]]:
        return self.services.values()

    def _replicas(self, service: str) -> int:
        return int(self.services[service].get("deploy", {}).get("replicas", 1))

    def _those(self, ids: Sequence[str]) -> list[Container]:
        return [c for c in self.there if c.id in ids]

    def _change(self, old: Container, **changes: Any) -> None:
        self.there[self.there.index(old)] = replace(old, **changes)

    def _create(self, service: str, count: int) -> list[str]:
        described = self.model()["services"][service]
        there = [c.number for c in self.there if c.service == service]
        made = []
        for number in [n for n in range(1, 99) if n not in there][: count - len(there)]:
            name = described.get("container_name", f"{PROJECT}-{service}-{number}")
            new = container(
                service,
                id=f"{service}-{uuid.uuid4().hex}",
                name=name,
                number=number,
                image=described["image"],
                image_id=self.tags[described["image"]],
                config_hash=_hash(described),
                state="created",
                health="",
            )
            self.there.append(new)
            made.append(new.id)
        return made


def opened(root: Path, engine: Composing, *, started_as: str = "prod") -> StackContext:
    """Return the stack as a task opens it in production, with what is deployed."""
    deployed = folder.of(root, engine.info().id, PROJECT) / "deployed.yml"
    return StackContext(
        collaborators=OPERATIONS,
        root=root,
        project=PROJECT,
        mode=Mode(("prod",), production=True),
        engine=engine.reading((deployed,) if deployed.exists() else ()),
        everyone=engine.containers(),
        started_as=Mode((started_as,)),
        reopen=engine.reading,
    )


def quick_clock() -> Clock:
    """Return a clock on which waiting takes no time."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return Clock(now=lambda: now[0], sleep=sleep)


def _hash(service: Mapping[str, Any]) -> str:
    hashed = {key: value for key, value in service.items() if key != "build"}
    return sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()


def _override(services: dict[str, Any], text: str) -> None:
    """Merge what the library writes: a value, or `!reset null`, for each key."""
    service: dict[str, Any] = {}
    for line in text.splitlines()[1:]:
        key, _, value = line.strip().partition(":")
        if line.startswith("    ") and "!reset" in value:
            service.pop(key, None)
        elif line.startswith("    "):
            service[key] = value.strip()
        else:
            service = services[key]
