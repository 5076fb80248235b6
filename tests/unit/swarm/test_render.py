"""The file that is printed deploys by hand, and shows no secret."""

from pathlib import Path

import pytest

from compose_ops import Stack
from compose_ops.errors import ConfigurationError, UsageError
from compose_ops.swarm.images import is_local, remote

COMPOSE = """\
services:
  web:
    build: .
    environment:
      DB_PASSWORD: a-very-secret-word
      LEVEL: info
      COST: $$5
    secrets: [token]
secrets:
  token: {file: ./token}
"""
CONFIG = """\
version = 1
[modes.cluster]
files = ["cluster.yaml"]
swarm = true
combines = true
only_with = ["prod"]
[modes.prod]
[swarm]
registry = "$REGISTRY"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "compose.yaml").write_text(COMPOSE)
    (folder / "cluster.yaml").write_text("services: {web: {init: true}}\n")
    (folder / "compose-ops.toml").write_text(CONFIG)
    (folder / "token").write_text("abc")
    (folder / ".env").write_text("REGISTRY=lan:5000/team\n")
    return folder


@pytest.mark.compose
def test_secrets_are_variables_of_the_shell(project: Path) -> None:
    """Docker fills them in; a redacted word would be deployed as it stands."""
    found = Stack.open(project, modes=["prod", "cluster"]).config()

    web = found["services"]["web"]
    assert web["environment"] == {
        "DB_PASSWORD": "${DB_PASSWORD:?set it in the shell}",
        "LEVEL": "info",
        "COST": "$$5",
    }
    assert web["image"] == "lan:5000/team/shop-web:latest"
    assert found["secrets"]["token"]["name"].startswith("shop_token-")


@pytest.mark.compose
def test_images_without_a_registry_are_refused(project: Path) -> None:
    """No node could have them."""
    (project / ".env").write_text("")
    with pytest.raises(ConfigurationError, match="REGISTRY"):
        Stack.open(project, modes=["prod", "cluster"]).config()


def test_a_mode_goes_only_with_those_that_it_names(project: Path) -> None:
    """Swarm has no meaning for mounts of development."""
    with pytest.raises(UsageError, match="--cluster goes only with --prod"):
        Stack.open(project, modes=["cluster"])


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("shop-web", "lan/shop-web:latest"),
        ("localhost/shop-web:2", "lan/shop-web:2"),
        ("other:5000/team/web:2@sha256:01", "lan/team/web:2"),
        ("team/web", "lan/team/web:latest"),
    ],
)
def test_names_in_the_registry(image: str, name: str) -> None:
    assert remote("lan", image) == name


def test_what_no_registry_can_have() -> None:
    assert is_local("localhost/web")
    assert not is_local("localhost:5000/web")
    assert not is_local("postgres:16")
