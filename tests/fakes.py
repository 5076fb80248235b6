"""Values and an engine in memory, for tests that need none of Docker."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from compose_ops.docker.api import (
    Container,
    Endpoint,
    EngineInfo,
    Network,
    PublishedPort,
    Volume,
)

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def container(service: str = "app", **changes: Any) -> Container:
    """Return a healthy running container of the project trial."""
    base = Container(
        id=f"id-{service}",
        name=f"trial-{service}",
        project="trial",
        service=service,
        number=1,
        image=f"trial-{service}",
        image_id=f"sha256:{service}",
        config_hash="hash",
        state="running",
        health="healthy",
        exit_code=0,
        oom_killed=False,
        restart_count=0,
        created=EPOCH,
        started=EPOCH,
        finished=None,
        labels={},
        networks={},
        mounts=(),
        published=(),
        probes=(),
    )
    return replace(base, **changes)


def published(port: int, target: int = 8000) -> tuple[PublishedPort, ...]:
    return (PublishedPort("127.0.0.1", port, target, "tcp"),)


def network(name: str, subnet: str, *, project: str = "", **changes: Any) -> Network:
    """Return a bridge network as Compose would have made it."""
    labels = {
        "com.docker.compose.project": project,
        "com.docker.compose.network": name.removeprefix(f"{project}_"),
    }
    raw = {
        "IPAM": {"Config": [{"Subnet": subnet, "AuxiliaryAddresses": {}}]},
        "Options": {},
    }
    base = Network(name, name, "bridge", False, (subnet,), labels, raw)  # noqa: FBT003
    return replace(base, **changes)


def volume(name: str, *, device: str = "") -> Volume:
    options = {"device": device, "type": "none", "o": "bind"} if device else {}
    return Volume(name, "local", options, {})


class FakeEngine:
    """An engine in memory that records what it was asked to change."""

    def __init__(self, containers: Sequence[Container] = ()) -> None:
        self.there = list(containers)
        self.done: list[tuple[Any, ...]] = []
        self.nets: list[Network] = []
        self.kept: dict[str, Volume] = {}

    def info(self) -> EngineInfo:
        return EngineInfo("ENGINE", "26.1.5", 2, 24 * 1024**3, ("runc",), {})

    def endpoint(self) -> Endpoint:
        return Endpoint("default", "unix:///var/run/docker.sock")

    def containers(
        self,
        *,
        project: str | None = None,
        filters: Sequence[str] = (),  # noqa: ARG002 - the port's signature
    ) -> tuple[Container, ...]:
        return tuple(c for c in self.there if project in {None, c.project})

    def profiled_services(self) -> frozenset[str]:
        return frozenset()

    def stop(self, *names: str, timeout: int | None = None) -> None:
        self.done.append(("stop", names, timeout))

    def remove(self, *names: str, force: bool = False, volumes: bool = False) -> None:
        del volumes
        self.done.append(("remove", names, force))

    def disconnect(self, network: str, container: str) -> None:
        self.done.append(("disconnect", network, container))

    def connect(
        self, network: str, container: str, *, aliases: Sequence[str] = ()
    ) -> None:
        self.done.append(("connect", network, container, *aliases))

    def preload(self) -> None:
        pass

    def networks(self, *, project: str | None = None) -> tuple[Network, ...]:
        del project
        return tuple(self.nets)

    def volume(self, name: str) -> Volume | None:
        return self.kept.get(name)

    def create_volume(self, name: str, *, labels: Mapping[str, str]) -> None:
        self.kept.setdefault(name, Volume(name, "local", {}, labels))

    def remove_volume(self, name: str) -> None:
        del self.kept[name]

    def remove_network(self, name: str) -> None:
        self.done.append(("remove_network", name))

    def logs(self, name: str, *, tail: int = 20) -> str:
        return f"the last {tail} lines of {name}"
