"""What an update needs before its first step."""

from typing import Any, cast

import pytest
from fakes import FakeEngine, container

from jimbot_stack.engine import Container, PublishedPort
from jimbot_stack.errors import UnhealthyError
from jimbot_stack.health import Clock
from jimbot_stack.rollout import readiness
from jimbot_stack.rollout.policy import Traffic
from jimbot_stack.rollout.site import Site

TRAFFIC = Traffic(8000, "/", "/echo", "/health", "SIGUSR1", "gateway", "front")


class Started:
    """Stands for the probe, and knows only where it would send its requests."""

    def __init__(self, host: str, port: int, _traffic: Traffic) -> None:
        self.at = (host, port)

    def start(self) -> None:
        pass


def site(*published: PublishedPort) -> Site:
    class Gateway(FakeEngine):
        def container(self, reference: str) -> Container:
            return container(reference, published=published)

    engine = cast("Any", Gateway())
    clock = Clock(now=lambda: 0.0, sleep=lambda _seconds: None)
    return Site(engine, "trial", "app", TRAFFIC, "front", "gateway", 1.0, 1.0, clock)


def opening(host: str, port: int, target: int) -> PublishedPort:
    return PublishedPort(host, port, target, "tcp")


@pytest.fixture(autouse=True)
def _no_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "TrafficProbe", Started)


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
    assert cast("Any", readiness.probe_of(site(*published))).at == at


def test_an_update_behind_a_closed_gateway_is_refused() -> None:
    """What cannot be proven is not begun."""
    with pytest.raises(UnhealthyError, match="8000"):
        readiness.probe_of(site(opening("", 1, 8404)))
