"""An engine in memory whose gateway sends requests to what is attached and healthy."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from composing import APP, UPDATED, Composing, opened, quick_clock

from compose_ops.composition import Operations
from compose_ops.docker.api import Container, Event, RunSpec
from compose_ops.doctor import requirements
from compose_ops.rollout import background, preflight, replica_probe, update
from compose_ops.rollout.statistics import Request, TrafficReport
from compose_ops.rollout.update import UpdateRequest
from compose_ops.runtime.health import Clock

NETWORK = "trial_front"
LABELS = {
    "compose-ops.rollout.gateway": "gateway",
    "compose-ops.rollout.network": "front",
    "compose-ops.rollout.port": "8000",
    "compose-ops.rollout.drain": "SIGUSR1",
}
ROLLED: dict[str, Any] = {
    "replicas": 2,
    "update_config": {**UPDATED["update_config"], "order": "start-first"},
}
SERVED = {**APP, "labels": LABELS, "deploy": ROLLED}
HEADER = "# pxname,svname,qcur,scur,status,check_status,addr,cookie,\n"
At = Callable[[str], None]


class Passing:
    """An event stream that brings nothing, while time passes."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def next(self, timeout: float) -> Event | None:
        self.clock.sleep(max(timeout, 0.01))
        return None


class Served(Composing):
    """
    Two replicas of the app behind a gateway.

    *sick* are containers, and images, that are never healthy, *refused* those that the
    gateway does not take; `held` says until when a container has a request, `cut` which
    were stopped before, and `ended` whose sessions the gateway ended. It drains by its
    API where it `may_drain`: `set_out`. `at` is called with the name of each verb
    before it is done, and with "created" after.
    """

    def __init__(self, services: Mapping[str, Any] | None = None) -> None:
        gateway = {"image": "gateway"}
        super().__init__(services or {"app": SERVED, "gateway": gateway})
        self.clock = quick_clock()
        self.numbers = count(2)
        self.sick: set[str] = set()
        self.refused: set[str] = set()
        self.draining: set[str] = set()
        self.held: dict[str, float] = {}
        self.cut: list[str] = []
        self.ended: list[str] = []
        self.set_out: set[str] = set()
        self.may_drain = True
        self.at: list[At] = []
        self.run_all()
        for each in self.replicas():
            self.connect(NETWORK, each.id)

    def replicas(self) -> list[Container]:
        return [c for c in self.there if c.service == "app"]

    def served(self) -> set[str]:
        """Return the ids of the replicas that get requests."""
        found = self.replicas()
        return {c.id for c in found if self._is_up(c)}

    @contextmanager
    def run_interactive(self, spec: RunSpec) -> Iterator["Asked"]:
        assert spec.network == f"container:{self._gateway}"
        yield Asked(self)

    def answer(self, command: str) -> str:
        """Answer as the gateway's runtime API does."""
        if command == "show stat":
            return self._statistics()
        if not self.may_drain:
            return "Permission denied\n"
        words = command.split()
        [name] = [word for word in words if "/" in word]
        backend, _, server = name.partition("/")
        if backend != "app":
            return "No such backend.\n"
        if words[0] == "set":
            change = self.set_out.add if words[-1] == "drain" else self.set_out.discard
            change(server)
        else:
            assert words[:3] == ["shutdown", "sessions", "server"]
            self.held.pop(server, None)
            self.ended.append(server)
        return ""

    def _statistics(self) -> str:
        rows = [
            f"app,{c.id},0,{int(self._holds(c.id))},{self._status(c)},"
            f"{c.networks[NETWORK]}:8000,,"
            for c in self.replicas()
            if c.is_running and NETWORK in c.networks
        ]
        there = {c.id for c in self.replicas() if c.is_running}
        free = [*(self.set_out - there), *(f"free{n}" for n in range(8))]
        rows += [f"app,{name},0,0,MAINT (resolution),,,," for name in free]
        return HEADER + "\n".join(rows)

    def _status(self, container: Container) -> str:
        if container.id in self.set_out and container.is_healthy:
            return "DRAIN,L7OK"
        return "UP,L7OK" if self._is_up(container) else "DOWN,L7STS"

    @property
    def _gateway(self) -> str:
        return next(c.id for c in self.there if c.service == "gateway")

    @contextmanager
    def events(self, *filters: str, since: float | None = None) -> Iterator[Passing]:  # type: ignore[override]
        del filters, since
        yield Passing(self.clock)

    def up(self, *services: Any, **how: Any) -> None:
        super().up(*services, **how)
        self._reached("created")

    def start(self, *containers: str) -> None:
        super().start(*containers)
        for each in self._those(containers):
            self.draining.discard(each.id)
            if self.sick & {each.id, each.image_id}:
                self._change(each, health="unhealthy")

    def stop(self, *containers: str, timeout: int | None = None) -> None:
        self.cut += [c for c in containers if self._holds(c)]
        super().stop(*containers, timeout=timeout)

    def kill(self, container: str, signal: str = "KILL") -> None:
        super().kill(container, signal)
        self.draining.add(container)

    def remove(
        self, *containers: str, force: bool = False, volumes: bool = False
    ) -> None:
        del volumes
        self._reached("remove")
        super().remove(*containers, force=force)

    def connect(
        self, network: str, container: str, *, aliases: Sequence[str] = ()
    ) -> None:
        del aliases
        for each in self._those([container]):
            address = f"10.0.0.{next(self.numbers)}"
            self._change(each, networks={**each.networks, network: address})

    def disconnect(self, network: str, container: str) -> None:
        self.cut += [container] if self._holds(container) else []
        super().disconnect(network, container)

    def _holds(self, container: str) -> bool:
        return self.held.get(container, 0.0) > self.clock.now()

    def _is_up(self, container: Container) -> bool:
        attached = container.is_healthy and NETWORK in container.networks
        out = self.draining | self.refused | self.set_out
        return attached and container.id not in out

    def _reached(self, verb: str) -> None:
        for at in tuple(self.at):
            at(verb)


@dataclass
class Asked:
    """A helper in the gateway's network."""

    engine: Served
    line: str = ""

    def send(self, line: str) -> None:
        self.line = line

    def receive(self) -> str:
        return json.dumps(
            {"text": self.engine.answer(json.loads(self.line)["command"])}
        )


class Probing:
    """A probe that finds nothing wrong until it is told to."""

    begin = -9.0
    requests: Sequence[Request] = ()

    def __init__(self, wrong: Callable[[], str] = lambda: "") -> None:
        self.failure = wrong

    def mark_change(self) -> None:
        pass

    def stop(self) -> TrafficReport:
        return TrafficReport(100, int(bool(self.failure())), 1.0, 1.0, 1.0, ())

    summary = stop


def quick_require(patch: pytest.MonkeyPatch) -> None:
    """Let no check of the machine refuse an update."""
    patch.setattr(requirements, "require", lambda *_args, **_how: None)


def quick(
    patch: pytest.MonkeyPatch, engine: Served, probe: Probing | None = None
) -> None:
    """Let updates on *engine* take no time, and ask nobody."""
    quick_require(patch)
    patch.setattr(update, "CLOCK", engine.clock)
    patch.setattr(preflight, "probe_of", lambda _context: probe or Probing())
    patch.setattr(background, "begin", done)
    image = property(lambda _self: lambda _stack: "helper")
    patch.setattr(Operations, "helper_image", image)
    patch.setattr(replica_probe, "asker", lambda *_args: lambda: "")


def done(do: Callable[[], Any]) -> "Future[Any]":
    """Do at once what is done aside."""
    found: Future[Any] = Future()
    try:
        found.set_result(do())
    except Exception as wrong:  # noqa: BLE001 - whoever asks gets it
        found.set_exception(wrong)
    return found


def updated(root: Path, engine: Served, service: str = "app") -> None:
    """Bring what the next build makes to all replicas."""
    update.update(opened(root, engine), service, UpdateRequest(build=True))
