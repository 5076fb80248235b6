"""What an update needs before its first step."""

from typing import Any, cast

import pytest
from fakes import FakeEngine, container

from compose_ops.docker.api import Container, PublishedPort
from compose_ops.errors import UnhealthyError
from compose_ops.rollout import preflight
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.policy import ProbeSettings
from compose_ops.runtime.health import Clock

TRAFFIC = ProbeSettings(8000, "/", "/echo", "/health", "SIGUSR1", "gateway", "front")


class Started:
    """Stands for the probe, and knows only where it would send its requests."""

    def __init__(
        self, host: str, port: int, _traffic: ProbeSettings, *, elsewhere: Any
    ) -> None:
        self.at = (host, port)
        assert elsewhere is None

    def start(self) -> None:
        pass


def site(*published: PublishedPort) -> UpdateContext:
    class Gateway(FakeEngine):
        def container(self, reference: str) -> Container:
            return container(reference, published=published)

    engine = cast("Any", Gateway())
    clock = Clock(now=lambda: 0.0, sleep=lambda _seconds: None)
    return UpdateContext(
        engine, "trial", "app", TRAFFIC, "front", "gateway", 1.0, 1.0, clock, engine
    )


def opening(host: str, port: int, target: int) -> PublishedPort:
    return PublishedPort(host, port, target, "tcp")


@pytest.fixture(autouse=True)
def _no_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "TrafficProbe", Started)


@pytest.mark.parametrize(
    ("published", "at"),
    [
        ([opening("127.0.0.1", 18000, 8000)], ("127.0.0.1", 18000)),
        ([opening("0.0.0.0", 80, 8000)], ("127.0.0.1", 80)),
        ([opening("", 1, 8404), opening("10.0.0.1", 2, 8000)], ("10.0.0.1", 2)),
    ],
    ids=["loopback", "every address", "a second port"],
)
def test_the_probe_goes_where_users_do(
    published: list[PublishedPort], at: tuple[str, int]
) -> None:
    """To the gateway's port for the service, whichever others it publishes."""
    assert cast("Any", preflight.probe_of(site(*published))).at == at


def test_an_update_behind_a_closed_gateway_is_refused() -> None:
    """What cannot be proven is not begun."""
    with pytest.raises(UnhealthyError, match="8000"):
        preflight.probe_of(site(opening("", 1, 8404)))
