"""`invoke init`: makes what is missing, never touches what a person wrote."""

import json
import os
from pathlib import Path

import pytest
from repository import config_in

from compose_ops.errors import ConfigurationError
from compose_ops.project import env_file
from compose_ops.stack import setup

EXAMPLE = "COMPOSE_PROJECT_NAME=jimbot\nRAY_CPUS=4\nNEW_THING=5\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return the least that init needs, with the modes of a strict umask."""
    (tmp_path / ".env.example").write_text(EXAMPLE)
    (tmp_path / "secrets").mkdir(mode=0o755)
    (tmp_path / "jimbot").mkdir(mode=0o700)
    (tmp_path / "jimbot" / "main.py").write_text("")
    (tmp_path / "jimbot" / "main.py").chmod(0o600)
    return tmp_path


def init(root: Path) -> None:
    setup.run(None, root, config_in(root))


def test_second_run_finds_nothing_to_do(checkout: Path) -> None:
    init(checkout)

    assert setup.plan(checkout, config_in(checkout), values=dict) == []


def test_cpus_are_at_most_the_hosts(checkout: Path) -> None:
    """The engine refuses a container with more cores than there are."""
    for step in setup.plan(
        checkout, config_in(checkout), values=lambda: {"RAY_CPUS": "2"}
    ):
        step.act()

    assert env_file.read(checkout / ".env")["RAY_CPUS"] == "2"


def test_values_that_a_person_wrote_stay(checkout: Path) -> None:
    """Only keys that are missing are added."""
    (checkout / ".env").write_text("RAY_CPUS=garbage # mine\nMINE=1")
    (checkout / "secrets" / "db_password.txt").write_text("mine")

    init(checkout)

    assert (
        (checkout / ".env").read_text().startswith("RAY_CPUS=garbage # mine\nMINE=1\n")
    )
    assert env_file.read(checkout / ".env")["NEW_THING"] == "5"
    assert (checkout / "secrets" / "db_password.txt").read_text() == "mine"


def test_secrets_are_strong_and_differ(checkout: Path) -> None:
    init(checkout)
    first = (checkout / "secrets" / "db_password.txt").read_text()
    (checkout / "secrets" / "db_password.txt").unlink()
    init(checkout)

    assert len(first) >= 32
    assert first != (checkout / "secrets" / "db_password.txt").read_text()
    assert json.loads((checkout / "secrets" / "api_keys.json").read_text())


def test_a_token_is_added_to_the_keys_that_are_there(checkout: Path) -> None:
    """Production's clients need one; a second run has nothing to do."""
    keys = checkout / "secrets" / "api_keys.json"
    keys.write_text('{"anthropic": "mine"}')

    for step in setup.token_steps(config_in(checkout)):
        step.act()
    made = json.loads(keys.read_text())

    assert made["anthropic"] == "mine"
    assert len(made["mcp"]["claude"]) >= 32
    assert keys.stat().st_mode & 0o777 == 0o644
    assert list(setup.token_steps(config_in(checkout))) == []


@pytest.mark.parametrize("text", ["{", "[]"])
def test_keys_that_cannot_be_read_are_not_written_over(
    checkout: Path, text: str
) -> None:
    keys = checkout / "secrets" / "api_keys.json"
    keys.write_text(text)

    with pytest.raises(ConfigurationError, match=r"api_keys\.json"):
        list(setup.token_steps(config_in(checkout)))
    assert keys.read_text() == text


def test_containers_can_read_and_host_users_cannot(checkout: Path) -> None:
    """A secret is readable through its mount; its folder keeps others out."""
    before = os.umask(0o077)
    try:
        init(checkout)
    finally:
        os.umask(before)

    secret = checkout / "secrets" / "db_password.txt"
    assert secret.stat().st_mode & 0o777 == 0o644
    assert secret.parent.stat().st_mode & 0o777 == 0o700
    assert (checkout / ".env").stat().st_mode & 0o777 == 0o600
    assert (checkout / "jimbot" / "main.py").stat().st_mode & 0o444 == 0o444


def test_a_secret_has_its_mode_from_the_moment_it_has_its_name(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill in between would leave one that no container's user can read."""
    modes = {}
    real = Path.rename

    def renamed(partial: Path, path: Path) -> Path:
        modes[path.name] = partial.stat().st_mode & 0o777
        return real(partial, path)

    monkeypatch.setattr(Path, "rename", renamed)
    init(checkout)

    assert modes["db_password.txt"] == modes["api_keys.json"] == 0o644
    assert modes[".env"] == 0o600


def test_a_secret_that_a_killed_run_left_closed_is_opened(checkout: Path) -> None:
    """Its value is never touched."""
    init(checkout)
    secret = checkout / "secrets" / "db_password.txt"
    value = secret.read_text()
    secret.chmod(0o600)

    init(checkout)

    assert secret.stat().st_mode & 0o777 == 0o644
    assert secret.read_text() == value
    assert setup.plan(checkout, config_in(checkout), values=dict) == []


def test_a_write_that_fails_leaves_no_secret_behind(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        env_file.write_private(checkout / "secrets" / "word", "secret")

    assert list((checkout / "secrets").iterdir()) == []


def test_dry_run_writes_nothing(checkout: Path) -> None:
    setup.run(None, checkout, config_in(checkout), dry=True)

    assert not (checkout / ".env").exists()
    assert list((checkout / "secrets").iterdir()) == []
