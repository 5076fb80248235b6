"""Gateway and engine are restarted under load, with no task running."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from e2e_scenario import ROOT, docker
from open_load import LIGHT
from private_engine import PrivateEngine
from rollout_site import ASK, REPOSITORY, admitted, build_images, image
from waiting import eventually

from compose_ops.docker.client import DockerEngine
from compose_ops.rollout import steps
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.helpers import Helpers
from compose_ops.rollout.policy import ProbeSettings
from compose_ops.runtime.health import Clock

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="a second dockerd needs root"),
]

FILES = Path(__file__).parent / "rollout"
LOAD = Path(__file__).with_name("open_load.py")
GATEWAY = f"localhost/jimbot-test-gateway:{os.urandom(4).hex()}"
PROJECT, PORT = "restarts", 8000
NETWORK = f"{PROJECT}_gateway_network"
TRAFFIC = ProbeSettings(PORT, "/", "/echo", "/health", "SIGUSR1", "gateway", NETWORK)
VARIABLES = {
    "COMPOSE_PROJECT_NAME": PROJECT,
    "APP_PORT": str(PORT),
    "HAPROXY_IMAGE": "unused",
    "GATEWAY_IMAGE": GATEWAY,
    "ROLL_IMAGE": REPOSITORY,
    "GATEWAY_SUBNET": "10.90.1.0/24",
    "FRONTEND_SUBNET": "10.90.2.0/24",
    "BACKEND_SUBNET": "10.90.3.0/24",
}
AFTERWARDS = 60


@dataclass
class Place:
    """Two replicas of v1, admitted as by an update, and one of v2 that was not."""

    engine: PrivateEngine

    def compose(self, *words: str, more: tuple[str, ...] = ()) -> None:
        names = ("docker-compose.yml", "docker-compose.prod.yml", "private.yml", *more)
        flags = [w for name in names for w in ("--file", str(FILES / name))]
        subprocess.run(
            ["docker", "compose", *flags, *words],
            env={**self.engine.environment(), **VARIABLES},
            check=True,
            capture_output=True,
        )

    def container(self, name: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(
            self.engine.docker("inspect", f"{PROJECT}-{name}")
        )
        return found[0]

    def admitted(self) -> int:
        """Return how many replicas the gateway sends requests to."""
        ask = ("exec", f"{PROJECT}-gateway-1", "bash", "-c", ASK)
        return len(admitted(self.engine.docker(*ask, check=False)))

    @property
    def site(self) -> UpdateContext:
        """Return the place as an update knows it."""
        engine = DockerEngine(project=PROJECT, host=self.engine.host)
        return UpdateContext(
            engine=engine,
            project=PROJECT,
            service="app",
            traffic=TRAFFIC,
            network=NETWORK,
            gateway=f"{PROJECT}-gateway-1",
            health_limit=30,
            drain_timeout=10,
            clock=Clock(now=time.monotonic, sleep=time.sleep),
            helpers=Helpers(engine, PROJECT, lambda: image("v1")),
        )

    @contextmanager
    def load(self) -> Iterator[dict[str, Any]]:
        """Send requests where the port is published; what became of them comes last."""
        program = self.engine.begin([sys.executable, str(LOAD), str(PORT), str(LIGHT)])
        seen: dict[str, Any] = {}
        try:
            yield seen
        finally:
            seen |= json.loads(program.communicate(timeout=60)[0])


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    build_images()
    context = str(ROOT / "docker/services/gateway")
    standin = "HAPROXY_IMAGE=localhost/jimbot-standin-haproxy:latest"
    docker("build", "--quiet", "--build-arg", standin, "--tag", GATEWAY, context)
    with PrivateEngine() as engine:
        engine.load(image("v1"), image("v2"), GATEWAY)
        place = Place(engine)
        place.compose("up", "--detach", "--wait")
        scaled = ("--no-start", "--no-recreate", "--scale", "app=3")
        place.compose("up", *scaled, "app", more=("candidate.yml",))
        for number in (1, 2, 3):
            steps.detach(place.site, [f"{PROJECT}-app-{number}"])
        engine.docker("start", f"{PROJECT}-app-3")
        steps.admit(place.site, [f"{PROJECT}-app-1", f"{PROJECT}-app-2"])
        assert place.admitted() == 2
        yield place
    docker("image", "rm", "--force", GATEWAY)


def test_a_restarted_gateway_takes_healthy_replicas_back(place: Place) -> None:
    """Requests are answered again, by the admitted replicas alone."""
    with place.load() as seen:
        place.engine.docker("restart", f"{PROJECT}-gateway-1")
        again = back_in_service(place)
    require_service(seen, again)


def test_a_restarted_engine_takes_healthy_replicas_back(place: Place) -> None:
    """What was not admitted before runs again, and still gets no request."""
    before = place.container("app-1")["State"]["StartedAt"]
    with place.load() as seen:
        place.engine.restart()
        again = back_in_service(place)
    require_service(seen, again)

    assert place.container("app-1")["State"]["StartedAt"] != before
    candidate = place.container("app-3")
    assert candidate["State"]["Running"]
    assert NETWORK not in candidate["NetworkSettings"]["Networks"]


def back_in_service(place: Place) -> float:
    """Wait until both replicas are admitted and some requests later; return when."""
    eventually(lambda: place.admitted() == 2)
    again = time.monotonic()
    eventually(lambda: time.monotonic() > again + AFTERWARDS / LIGHT)
    return again


def require_service(seen: dict[str, Any], again: float) -> None:
    """From *again* on every request was answered, by the old version."""
    assert [t for t in seen["failed"] if t > again + 1] == [], seen["failures"]
    assert len([t for t in seen["ends"] if t > again]) > AFTERWARDS / 2
    assert seen["versions"] == ["1"]
