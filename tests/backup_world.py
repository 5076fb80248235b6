"""
An engine in memory whose volumes are folders, and stores that count what they hold.

The helper's own code answers in this process, so archives and renames are real ones.
A store is a container; it counts the lines of the file `lines` in its first volume.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from fakes import EPOCH, FakeEngine, container
from helper_talk import Talk

from compose_ops.docker.api import Container, Image, Mount, Output, RunSpec, Volume
from compose_ops.errors import EngineError

PROJECT = "com.docker.compose.project"
COUNT = "count"


class Killed(BaseException):
    """Stands for the death of the task."""


@dataclass
class Fate:
    """After how many steps the task dies, or meets a fault once; whether it is dead."""

    dies_at: int | None = None
    is_dead: bool = False
    fault: BaseException | None = None


class World(FakeEngine):
    """
    The engine; `done` lists what was asked of it, `when` calls back before it is.

    The task dies when as much was done as its `fate` says.
    """

    def __init__(self, folder: Path, services: dict[str, Any]) -> None:
        super().__init__()
        self.folder = folder
        self.project = "trial"
        self.services = services
        self.when: dict[tuple[str, ...], Callable[[], object]] = {}
        self.commands: dict[str, Callable[[Container], Output]] = {COUNT: self._count}
        self.sick: Callable[[str], bool] = lambda _service: False
        self.further: dict[str, Any] = {}
        self.labels: dict[str, dict[str, str]] = {}
        self.fate = Fate()
        self.boot = "boot-1"
        self.free: int | None = None
        self.clock = EPOCH
        self.made: dict[str, Volume] = {}
        self.up(list(services))

    def happen(self, *words: str) -> None:
        self.alive()
        if len(self.done) == self.fate.dies_at:
            self.fate.dies_at = None
            fault = self.fate.fault
            if fault is None:
                self.fate.is_dead = True
                self.alive()
            elif words[0] != "journal":
                raise fault
        self.done.append(words)
        act = self.when.pop(words, None)
        if act is not None:
            act()

    def alive(self) -> None:
        """Let nothing be asked for by a task that has died, its cleaning up neither."""
        if self.fate.is_dead:
            raise Killed

    def change(self, reference: str, **values: Any) -> None:
        self.there[:] = [
            replace(c, **values) if reference in {c.id, c.name} else c
            for c in self.there
        ]

    def of(self, service: str) -> Container:
        own = (self.project, service)
        (found,) = [c for c in self.there if (c.project, c.service) == own]
        return found

    def data(self, volume: str) -> Path:
        """Return the folder of a volume of the project."""
        return self.folder / f"trial_{volume}"

    def write(self, volume: str, lines: int) -> None:
        (self.data(volume) / "lines").write_text("line\n" * lines)

    def lines(self, volume: str) -> int:
        return len((self.data(volume) / "lines").read_text().splitlines())

    def _count(self, asked: Container) -> Output:
        if self.sick(asked.service):
            return Output(1, "", "not now")
        (first, *_) = asked.mounts
        file = self.folder / (first.name or first.source) / "lines"
        known = file.read_text().count("\n") if file.exists() else 0
        return Output(0, f"{known}\n", "")

    # What the port to an engine asks for.

    def model(self) -> dict[str, Any]:
        volumes: dict[str, Any] = {
            mount["source"]: {}
            for service in self.services.values()
            for mount in service.get("volumes") or ()
            if mount["type"] == "volume" and "source" in mount
        }
        own = {"name": "trial", "services": self.services, "volumes": volumes}
        return own | self.further

    def up(self, services: Sequence[str] = (), **how: Any) -> None:
        self.happen("up", *services)
        known = {c.service for c in self.there if c.project == self.project}
        for name in services:
            own = f"id-{name}" if self.project == "trial" else f"{self.project}-{name}"
            mounts = []
            for mount in self.services[name].get("volumes") or ():
                if "source" not in mount:
                    continue
                if mount["type"] != "volume":
                    kind, source = mount["type"], mount["source"]
                    writable = not mount.get("read_only")
                    mounts.append(
                        Mount(kind, "", source, mount["target"], writable=writable)
                    )
                    continue
                volume = f"{self.project}_{mount['source']}"
                labels = self.labels.get(mount["source"], {})
                self.create_volume(volume, labels={PROJECT: self.project, **labels})
                mounts.append(
                    Mount("volume", volume, "", mount["target"], writable=True)
                )
            if name not in known:
                labels = self.services[name].get("labels") or {}
                made = container(name, id=own, mounts=tuple(mounts), labels=labels)
                self.there.append(replace(made, project=self.project))
                if not how.get("start", True):
                    self.change(own, state="created", health="")
            if how.get("start", True) and self.project != "trial":
                self.start(own)

    def containers(
        self, *, project: str | None = None, filters: Sequence[str] = ()
    ) -> tuple[Container, ...]:
        self.alive()
        found = super().containers(project=project)
        for kind, _, value in (text.partition("=") for text in filters):
            if kind == "volume":
                found = tuple(c for c in found if value in {m.name for m in c.mounts})
            elif kind == "label":
                key, _, wanted = value.partition("=")
                found = tuple(c for c in found if c.labels.get(key) == wanted)
        return found

    def container(self, reference: str) -> Container | None:
        self.alive()
        found = [c for c in self.there if reference in {c.id, c.name}]
        return found[0] if found else None

    def start(self, *names: str) -> None:
        for name in names:
            self.happen("start", name)
            self.clock += timedelta(seconds=1)
            service = self.there[[c.id for c in self.there].index(name)].service
            health = "unhealthy" if self.sick(service) else "healthy"
            self.change(name, state="running", health=health, started=self.clock)

    def stop(self, *names: str, timeout: int | None = None) -> None:
        del timeout
        for name in names:
            self.happen("stop", name)
            self.change(name, state="exited", health="", exit_code=0)

    def pause(self, *names: str) -> None:
        for name in names:
            self.happen("pause", name)
            self.change(name, state="paused")

    def unpause(self, *names: str) -> None:
        for name in names:
            self.happen("unpause", name)
            self.change(name, state="running")

    def remove(self, *names: str, force: bool = False, volumes: bool = False) -> None:
        del volumes
        del force
        for name in names:
            self.happen("remove", name)
        self.there[:] = [c for c in self.there if c.id not in names]

    def for_project(self, file: Path, project: str) -> "World":
        made = copy(self)
        made.project = project
        model = json.loads(file.read_text())
        made.services = model["services"]
        made.labels = {k: v.get("labels", {}) for k, v in model["volumes"].items()}
        return made

    def down(self, *, volumes: bool = False) -> None:
        self.happen("down", self.project)
        self.there[:] = [c for c in self.there if c.project != self.project]
        for name in list(self.made) if volumes else ():
            if self.made[name].labels.get(PROJECT) == self.project:
                self.remove_volume(name)

    def execute(
        self,
        name: str,
        command: Sequence[str],
        *,
        user: str = "",
        environment: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Output:
        del timeout, environment, user
        asked = self.container(name)
        if asked is None or asked.state != "running":
            raise EngineError(f"{name} does not run")
        self.happen("execute", asked.service, command[-1])
        if command[-1].startswith("COMPOSE_OPS_BACKUP="):
            return Output(0, "", "")  # ends what is left of a preparation
        return self.commands[command[-1]](asked)

    def run(self, spec: RunSpec, *, timeout: float | None = None) -> Output:
        del timeout
        return Output(0, spec.command[-1].removeprefix("echo "), "")

    def boot_id(self) -> str:
        self.alive()
        return self.boot

    def plugins(self) -> dict[str, str]:
        return {}

    def volume(self, name: str) -> Volume | None:
        self.alive()
        return self.made.get(name)

    def volumes(self, *, project: str | None = None) -> tuple[Volume, ...]:
        return tuple(
            v for v in self.made.values() if project in {None, v.labels.get(PROJECT)}
        )

    def create_volume(self, name: str, *, labels: Mapping[str, str]) -> None:
        (self.folder / name).mkdir(exist_ok=True)
        self.made.setdefault(name, Volume(name, "local", {}, labels))

    def remove_volume(self, name: str) -> None:
        gone = self.made.pop(name)
        shutil.rmtree(self.folder / gone.name)

    def image(self, reference: str) -> Image | None:
        return Image(f"sha256:{reference}", (reference,), 1, {})

    @contextmanager
    def run_interactive(self, spec: RunSpec) -> Iterator[Talk]:
        """Make a volume that is not there, as docker would."""
        mounts = [
            dict(part.split("=", 1) for part in m.split(",") if "=" in part)
            for m in spec.mounts
        ]
        at = {mount["dst"]: mount for mount in mounts}
        if not at.get("/volume", {"src": "/"})["src"].startswith("/"):
            self.create_volume(at["/volume"]["src"], labels={})
        talk = Talk(self, {place: mount["src"] for place, mount in at.items()})
        try:
            yield talk
        finally:
            talk.archiving.close()
