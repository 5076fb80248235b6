"""Three lines of toml on a project of plain Compose: a gateway in front."""

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from e2e_scenario import docker, free_port, inspected, remove_project
from foreign_site import FILES as FOREIGN
from foreign_site import LABEL, Foreign, install
from open_load import Load
from repository import ROOT

pytestmark = [pytest.mark.docker, pytest.mark.slow]

FILES = Path(__file__).parent / "plain"
PAGE = (ROOT / "docs/gateway.md").read_text()
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
THREE_LINES = next(text for _, text in BLOCK.findall(PAGE) if "[rollout.web]" in text)
NGINX = next(text for kind, text in BLOCK.findall(PAGE) if kind == "nginx")
CADDY = next(text for _, text in BLOCK.findall(PAGE) if "reverse_proxy" in text)
GATEWAY = '\n[gateway]\nimage = "localhost/jimbot-standin-haproxy:latest"\n'
BEFORE = 'before = ["sh", "-c", "cat index.json >>/notes/migrated"]\n'
RATE = 10.0


@dataclass(frozen=True)
class Shop(Foreign):
    """The project, with what its tests ask of it."""

    port_of_web: int = 0

    def replicas(self, service: str = "web") -> list[dict[str, Any]]:
        """Return the containers of a service, stopped ones too."""
        labels = (
            f"label={LABEL}={self.project}",
            f"label={LABEL[:-7]}service={service}",
        )
        words = [word for label in labels for word in ("--filter", label)]
        return inspected("container", docker("ps", "-aq", *words).split())

    def addresses(self, service: str) -> set[str]:
        """Return where a service is on the network that all share."""
        network = f"{self.project}_default"
        found = (c["NetworkSettings"]["Networks"] for c in self.replicas(service))
        return {networks[network]["IPAddress"] for networks in found}

    def version(self, name: str) -> None:
        """Change what the application answers."""
        (self.folder / "web/index.json").write_text(f'{{"version": "{name}"}}')

    def published(self, service: str) -> int:
        bindings = self.replicas(service)[0]["NetworkSettings"]["Ports"]["80/tcp"]
        return int(bindings[0]["HostPort"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Return the project as plain Compose started it."""
    programs = install(tmp_path_factory.mktemp("wheel"))
    parent = tmp_path_factory.mktemp("shop")
    copied = Foreign.copied(parent, programs, files=FILES, products={"edge": "1"})
    folder = copied.folder
    shutil.copy2(FOREIGN / "web/server.py", folder / "web")
    (folder / "nginx.conf").write_text(NGINX)
    (folder / "Caddyfile").write_text(CADDY)
    found = Shop(folder, programs, free_port())
    settings = f"COMPOSE_PROJECT_NAME={folder.name}\nPORT={found.port_of_web}\n"
    (folder / ".env").write_text(settings)
    try:
        found.compose("up", "--detach", "--build")
        yield found
    finally:
        remove_project(found.project)  # its files do not name the gateway's networks
        kept = f"reference=localhost/{found.project}-*"
        tags = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "-f", kept)
        docker("image", "rm", *tags.split(), f"{found.project}-web", check=False)


def test_three_lines_put_a_gateway_in_front(shop: Shop) -> None:
    """It takes over port and name; the gap is announced, measured and told."""
    shop.configure(THREE_LINES, GATEWAY)
    shop.task("init")

    with Load("127.0.0.1", shop.port_of_web, rate=RATE) as load:
        load.wait_until(20)
        said = shop.task("up").stderr
        load.wait_until(load.sent + 20)
        load.settle()
        ends = sorted(load.ends)

    gap = max(b - a for a, b in pairwise(ends))
    [told] = re.findall(r"web did not serve for (\d+\.\d) s\n", said)
    assert "web goes behind web-gateway" in said
    assert float(told) == pytest.approx(gap, abs=0.5)
    [web] = shop.replicas()
    assert not web["HostConfig"]["PortBindings"]
    assert web["Name"] != f"/{shop.project}-web"
    before = shop.containers()
    shop.task("up")
    assert shop.containers() == before


def test_an_update_loses_nothing_through_any_proxy(shop: Shop) -> None:
    """Of the gateway, of nginx and of Caddy, with the configurations of the page."""
    with (shop.folder / ".env").open("a") as env:
        env.write("COMPOSE_PROFILES=edge\n")
    shop.configure(THREE_LINES + BEFORE, GATEWAY)
    shop.task("up")
    names = shop.compose("exec", "-T", "caddy", "getent", "hosts", "web")
    assert {names.split()[0]} == shop.addresses("web-gateway")
    ports = [shop.port_of_web, shop.published("nginx"), shop.published("caddy")]
    shop.version("two")

    with ExitStack() as end:
        loads = [end.enter_context(Load("127.0.0.1", p, rate=RATE)) for p in ports]
        for load in loads:
            load.wait_until(20)
        words = ("rolling-update", "--service", "web", "--build")
        outcome = shop.json("compose-ops", *words)
        for load in loads:
            load.wait_until(load.sent + 20)
            load.settle()

    assert outcome["result"] == "updated"
    assert outcome["proof"]["failed"] == 0
    assert [load.failures for load in loads] == [[], [], []]
    assert [load.versions for load in loads] == [{"one", "two"}] * 3
    migrated = shop.compose("exec", "-T", "web", "cat", "/notes/migrated")
    assert migrated == '{"version": "two"}'


def test_what_fails_before_the_first_replica_changes_nothing(shop: Shop) -> None:
    """The image's name goes back, too; a rollback runs no such command."""
    before = shop.containers()
    image = docker("image", "inspect", "--format", "{{.Id}}", f"{shop.project}-web")
    fails = 'before = ["sh", "-c", "echo no table; exit 3"]\n'
    shop.configure(THREE_LINES + fails, GATEWAY)
    shop.version("three")

    words = ("rolling-update", "--service", "web", "--build")
    said = shop.task(*words, code=6).stderr

    assert "no table" in said
    assert "ended with exit code 3" in said
    assert shop.containers() == before
    now = docker("image", "inspect", "--format", "{{.Id}}", f"{shop.project}-web")
    assert now == image
    shop.task("rollback", "--service", "web")
    assert shop.containers() != before


def test_more_by_hand_is_taken_back(shop: Shop) -> None:
    """What `docker compose up --scale` added is surplus: nothing is lost with it."""
    shop.configure(THREE_LINES, GATEWAY)
    shop.task("gateway", "--write")
    files = ("--file", "compose.yaml", "--file", "compose.gateway.yaml")
    words = ("up", "--detach", "--no-deps", "--no-recreate", "--scale", "web=3", "web")
    shop.compose(*files, *words)
    assert len(shop.replicas()) == 3

    with Load("127.0.0.1", shop.port_of_web, rate=RATE) as load:
        load.wait_until(20)
        outcome = shop.json("compose-ops", "rolling-update", "--service", "web")
        load.settle()

    assert load.failures == []
    assert outcome["proof"]["failed"] == 0
    assert len(shop.replicas()) == 1
