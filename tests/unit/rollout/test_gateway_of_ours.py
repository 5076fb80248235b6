"""The compose file that puts a gateway of ours in front of a service."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes import FakeEngine, container

from compose_ops import Stack
from compose_ops.backup.policy import policies
from compose_ops.errors import ConfigurationError, UsageError
from compose_ops.project.model import Model
from compose_ops.rollout import steps
from compose_ops.rollout.gateway import overlay
from compose_ops.rollout.gateway.overlay import GatewaySettings
from compose_ops.rollout.plan import DesiredState, causes
from compose_ops.rollout.policy import traffic

SETTINGS = GatewaySettings("haproxy:3.0", ("traefik.*",))
COMPOSE = """
services:
  web:
    image: shop
    container_name: shop
    deploy: {replicas: 2}
    ports: ["8080:8000", "127.0.0.1:9090:9090"]
    expose: ["7000"]
    labels: {traefik.enable: "true", team: blue}
    healthcheck: {test: [CMD, "true"]}
  worker:
    image: shop
"""
TOML = '[rollout.web]\nport = 8000\nhost = "$shop.example"\n'


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project of plain Compose, with a port for rollouts, and no engine."""
    for name in [name for name in os.environ if name.startswith("COMPOSE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / "compose-ops.toml").write_text(TOML)
    return tmp_path


def described(**changes: Any) -> dict[str, Any]:
    """Return a merged model with the service web and another one."""
    web = {
        "image": "shop",
        "networks": {"default": None},
        "labels": {"compose-ops.rollout.port": "8000"},
        **changes,
    }
    services = {"web": web, "worker": {"networks": {"default": None}}}
    return {"name": "shop", "services": services, "networks": {"default": {}}}


def made(raw: dict[str, Any]) -> dict[str, Any]:
    """Return what is generated for a merged model, read without its tags."""
    text = overlay.overlay(Model(raw), ["web"], SETTINGS)
    return dict(yaml.safe_load(text.replace("!reset", "")))


def configuration(**changes: Any) -> str:
    found = made(described(**changes))
    return str(found["configs"]["web-gateway"]["content"])


@pytest.mark.compose
def test_three_lines_move_the_ports_to_a_gateway(shop: Path) -> None:
    """
    What Compose merges: the replicas publish nothing and have no fixed name.

    Alone it refuses two of that name.
    """
    model = Stack.open(shop).config()
    web, gateway = model["services"]["web"], model["services"]["web-gateway"]

    assert not web.get("ports")
    assert not web.get("container_name")
    assert web["deploy"]["update_config"]["order"] == "start-first"
    assert web["networks"].keys() == {"default", "web-gateway"}
    assert model["networks"]["web-gateway"]["internal"]
    published = {(p["published"], p["target"]) for p in gateway["ports"]}
    assert published == {("8080", 8000), ("9090", 9090)}
    assert gateway["networks"]["default"]["aliases"] == ["web"]
    assert gateway["depends_on"]["web"]["condition"] == "service_healthy"
    assert "traefik.enable" not in web["labels"]
    assert web["labels"]["team"] == "blue"
    assert gateway["labels"]["traefik.enable"] == "true"
    found = traffic(web)
    assert found is not None
    assert found.ports == (8000, 7000, 9090)
    text = model["configs"]["web-gateway"]["content"].replace("$$", "$")
    assert "hdr Host '$shop.example'" in text
    assert {*shop.iterdir()} == {shop / "compose.yaml", shop / "compose-ops.toml"}


@pytest.mark.compose
def test_written_file_does_the_same(shop: Path) -> None:
    """Named among the compose files it is all that counts, and can be written again."""
    generated = Stack.open(shop).config()
    found = Stack.open(shop).gateway(write=True)
    assert found.path is not None
    (shop / "compose-ops.toml").write_text(f"{found.hint}\n{TOML}")

    assert Stack.open(shop).config() == generated
    assert Stack.open(shop).gateway().text == found.text
    done = subprocess.run(
        ["docker", "compose", "-f", "compose.yaml", "-f", found.path.name, "config"],
        cwd=shop,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.compose
def test_what_the_gateway_changes_is_accepted_by_lint(shop: Path) -> None:
    """Two replicas of one fixed port are no fault behind it; alone they are."""
    compose = COMPOSE.replace("    container_name: shop\n", "")
    (shop / "compose.yaml").write_text(compose)
    found = {f.rule: bool(f.accepted) for f in Stack.open(shop).lint()}
    (shop / "compose-ops.toml").write_text("")
    alone = {f.rule: bool(f.accepted) for f in Stack.open(shop).lint()}

    assert found == {**alone, "fixed-port-doubled": True}
    assert not any(alone.values())


@pytest.mark.compose
def test_no_file_of_somebody_else_is_overwritten(shop: Path) -> None:
    (shop / "compose.gateway.yaml").write_text("services: {}\n")

    with pytest.raises(UsageError, match="no gateway task wrote it"):
        Stack.open(shop).gateway(write=True)
    (shop / "compose-ops.toml").write_text("")
    with pytest.raises(UsageError, match="no service has a gateway of ours"):
        Stack.open(shop).gateway()


def test_a_backup_knows_the_labels_of_a_gateway() -> None:
    """It reads those of every service, and refuses what it does not know."""
    found = Model({"name": "shop", **made(described())})

    assert policies(found) == {}


def test_an_order_that_is_stated_stays() -> None:
    stated = described(deploy={"update_config": {"order": "stop-first"}})

    assert "deploy" not in made(stated)["services"]["web"]


def test_only_networks_with_others_lead_to_the_gateway() -> None:
    """It publishes through a network of its own where those let nothing out."""
    raw = described(
        networks={"default": None, "stores": None, "lonely": {"aliases": ["x"]}},
        ports=[{"target": 8000, "published": "80", "protocol": "tcp"}],
    )
    raw["networks"] = {"default": {"internal": True}, "stores": {}, "lonely": {}}

    found = made(raw)
    networks = found["services"]["web-gateway"]["networks"]

    assert networks.keys() == {"web-gateway", "web-edge", "default"}
    assert found["services"]["web"]["networks"].keys() >= {"stores", "lonely"}
    raw["networks"]["lonely"]["external"] = True
    outside = made(raw)["services"]["web-gateway"]["networks"]
    assert outside["lonely"]["aliases"] == ["web", "x"]
    assert "web-edge" not in outside


@pytest.mark.parametrize(
    ("keys", "asked", "good"),
    [
        ({}, "meth GET uri '/'", "expect ! rstatus ^5"),
        ({"health": "/up"}, "meth GET uri '/up'", "expect status 200,204"),
        (
            {"method": "HEAD", "get": "/a", "status": "200 302"},
            "meth HEAD uri '/a'",
            "expect status 200,302",
        ),
    ],
)
def test_replicas_are_asked_for_what_is_stated(
    keys: dict[str, str], asked: str, good: str
) -> None:
    labels = {
        f"compose-ops.rollout.{k}": v for k, v in {"port": "8000", **keys}.items()
    }

    text = configuration(labels=labels)

    assert asked in text
    assert good in text


def test_a_post_is_no_health_check() -> None:
    """It would be sent every second: a connection has to do."""
    labels = {"compose-ops.rollout.port": "8000", "compose-ops.rollout.method": "POST"}

    assert "httpchk" not in configuration(labels=labels)


def test_tls_is_passed_through() -> None:
    labels = {"compose-ops.rollout.port": "8443", "compose-ops.rollout.scheme": "https"}

    text = configuration(labels=labels)

    assert "mode http\n" not in text.partition("frontend")[2]
    assert "web-replicas:8443 check-ssl verify none" in text


def test_there_is_room_for_all_replicas_twice() -> None:
    assert "1-16 " in configuration(deploy={"replicas": 8})
    assert "1-32 " in configuration(deploy={"replicas": 9})


def test_a_changed_configuration_recreates_the_gateway() -> None:
    """Compose does not see it: a label of the gateway has its digest."""
    before, after = made(described()), made(described(deploy={"replicas": 9}))

    assert (
        before["services"]["web-gateway"]["labels"]
        != after["services"]["web-gateway"]["labels"]
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"network_mode": "host"}, "network_mode is host"),
        ({"ports": [{"target": 53, "published": "53", "protocol": "udp"}]}, "53/udp"),
        ({"labels": {"compose-ops.rollout.port": "http"}}, "port is 'http'"),
        (
            {
                "labels": {
                    "compose-ops.rollout.port": "8000",
                    "compose-ops.rollout.network": "front",
                }
            },
            "network is stated",
        ),
        (
            {
                "labels": {
                    "compose-ops.rollout.port": "8000",
                    "compose-ops.rollout.get": "/\nglobal",
                }
            },
            "cannot be printed",
        ),
    ],
)
def test_what_no_gateway_can_serve_is_refused(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        made(described(**changes))


def test_a_name_that_is_taken_is_refused() -> None:
    raw = described()
    raw["services"]["web-gateway"] = {}

    with pytest.raises(ConfigurationError, match="there is a service web-gateway"):
        made(raw)


def connected(**changes: Any) -> Any:
    networks = {"default": "10.0.0.2", "web-gateway": "10.0.1.2"}
    aliases = {"Aliases": ["shop-web-1", "web"]}
    raw = {"NetworkSettings": {"Networks": dict.fromkeys(networks, aliases)}}
    return container("web", networks=networks, raw=raw, **changes)


def test_replicas_lose_their_name_before_they_start() -> None:
    """They stay on each network; a connection of one that runs would end."""
    engine: Any = FakeEngine()

    steps.withdraw_names(engine, connected(state="created"), keep="web-gateway")
    steps.withdraw_names(engine, connected(), keep="web-gateway")

    assert engine.done == [
        ("disconnect", "default", "id-web"),
        ("connect", "default", "id-web"),
    ]


def test_a_replica_that_others_find_is_replaced() -> None:
    """As `docker compose up`, typed by hand, creates them."""
    wanted = DesiredState(1, "shop", "sha256:web", "hash")

    assert causes(connected(), wanted, "web-gateway", "", ["default"]) == (
        "is found past the gateway on default",
    )
    assert causes(connected(), wanted, "web-gateway", "", ["other"]) == ()


@pytest.mark.compose
def test_generated_file_is_valid_for_every_key(shop: Path) -> None:
    (shop / "compose-ops.toml").write_text(
        TOML + 'get = "/a b"\nhealth = "/it\'s"\nscheme = "https"\n'
    )

    model = Stack.open(shop).config()

    assert "'/it'\\''s'" in model["configs"]["web-gateway"]["content"]
