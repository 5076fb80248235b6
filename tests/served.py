"""An engine in memory whose gateway sends requests to what is attached and healthy."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from composing import APP, UPDATED, Composing, opened, quick_clock

from compose_ops.docker.api import Container, Event
from compose_ops.doctor import requirements
from compose_ops.rollout import replica_probe, strategies, update
from compose_ops.rollout.statistics import TrafficReport
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
    gateway does not take; `held` says until when
    a container has a request, `cut` which were stopped before. `at` is called with the
    name of each verb before it is done, and with "created" after.
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

    def exec_readonly(self, _gateway: str, _command: Sequence[str]) -> str:
        rows = [
            f"app,{c.id},0,{int(self._holds(c.id))},"
            f"{'UP,L7OK' if self._is_up(c) else 'DOWN,L7STS'},"
            f"{c.networks[NETWORK]}:8000,,"
            for c in self.replicas()
            if c.is_running and NETWORK in c.networks
        ]
        return HEADER + "\n".join(rows)

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

    def remove(self, *containers: str, force: bool = False) -> None:
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
        return attached and container.id not in self.draining | self.refused

    def _reached(self, verb: str) -> None:
        for at in tuple(self.at):
            at(verb)


class Probing:
    """A probe that finds nothing wrong until it is told to."""

    begin = -9.0

    def __init__(self, wrong: Callable[[], str] = lambda: "") -> None:
        self.failure = wrong

    def mark_change(self) -> None:
        pass

    def stop(self) -> TrafficReport:
        return TrafficReport(100, int(bool(self.failure())), 1.0, 1.0, 1.0, ())

    summary = stop


def quick(
    patch: pytest.MonkeyPatch, engine: Served, probe: Probing | None = None
) -> None:
    """Let updates on *engine* take no time, and ask nobody."""
    patch.setattr(requirements, "require", lambda *_args, **_how: None)
    patch.setattr(update, "CLOCK", engine.clock)
    patch.setattr(update, "probe_of", lambda _place: probe or Probing())
    patch.setattr(strategies, "begun", _done)
    patch.setattr(replica_probe, "asker", lambda *_args: lambda: "")


def _done(do: Callable[[], None]) -> "Future[None]":
    """Do at once what is done aside."""
    found: Future[None] = Future()
    try:
        do()
        found.set_result(None)
    except Exception as wrong:  # noqa: BLE001 - whoever asks gets it
        found.set_exception(wrong)
    return found


def updated(root: Path, engine: Served, service: str = "app") -> None:
    """Bring what the next build makes to all replicas."""
    update.update(opened(root, engine), service, UpdateRequest(build=True))
