"""What the application reads from outside, and what it refuses."""

import ast
import json
from pathlib import Path

import pytest
from repository import ROOT

from jimbot.settings import SECONDS, SettingsError, read_settings


def test_defaults_are_the_names_of_the_services(tmp_path: Path) -> None:
    settings = read_settings({}, tmp_path)

    assert (settings.memgraph.host, settings.memgraph.port) == ("memgraph", 7687)
    assert (settings.questdb.host, settings.questdb.port) == ("questdb", 8812)
    assert (settings.questdb.user, settings.questdb.password) == ("admin", "quest")
    assert (settings.eventstore.host, settings.eventstore.port) == ("eventstore", 2113)
    assert settings.ray_address == "ray://ray-head:10001"
    assert settings.seconds == SECONDS
    assert not settings.debug
    assert not settings.reload


def test_secret_file_wins_over_the_variable(tmp_path: Path) -> None:
    file = tmp_path / "db_password.txt"
    file.write_text("from-file\n")
    environ = {
        "MEMGRAPH_USER": "jimbot",
        "MEMGRAPH_PASSWORD": "from-variable",
        "MEMGRAPH_PASSWORD_FILE": str(file),
    }

    assert read_settings(environ, tmp_path).memgraph.password == "from-file"


def test_the_checked_in_config_is_what_the_code_defaults_to() -> None:
    assert read_settings({}, ROOT / "config").seconds == SECONDS


def test_config_overrides_a_time_limit(tmp_path: Path) -> None:
    (tmp_path / "app.json").write_text(json.dumps({"seconds": {"ray": 5}}))

    assert read_settings({}, tmp_path).seconds == {**SECONDS, "ray": 5.0}


@pytest.mark.parametrize(
    ("environ", "culprit"),
    [
        ({"MEMGRAPH_PASSWORD_FILE": "/nowhere"}, "MEMGRAPH_PASSWORD_FILE"),
        ({"QUESTDB_PORT": "many"}, "QUESTDB_PORT"),
        ({"CLAUDE_RATE_LIMIT": "-1"}, "CLAUDE_RATE_LIMIT"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
        ({"RAY_ADDRESS": "ray-head:6379"}, "RAY_ADDRESS"),
    ],
)
def test_unusable_variable_is_named(
    environ: dict[str, str], culprit: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=culprit):
        read_settings(environ, tmp_path)


def test_tokens_come_from_the_file_of_keys(tmp_path: Path) -> None:
    keys = tmp_path / "api_keys.json"
    keys.write_text(json.dumps({"anthropic": "x", "mcp": {"claude": "t" * 20}}))

    read = read_settings({"API_KEYS_FILE": str(keys)}, tmp_path)
    without = read_settings({"API_KEYS_FILE": str(tmp_path / "none")}, tmp_path)

    assert read.api_tokens == {"claude": "t" * 20}
    assert without.api_tokens == {}


@pytest.mark.parametrize(
    "text", ["{", '{"mcp": ["t"]}', '{"mcp": {"claude": "short"}}', '{"mcp": {"a": 1}}']
)
def test_unusable_keys_are_named_without_their_content(
    text: str, tmp_path: Path
) -> None:
    keys = tmp_path / "api_keys.json"
    keys.write_text(text)

    with pytest.raises(SettingsError, match=r"api_keys\.json") as wrong:
        read_settings({"API_KEYS_FILE": str(keys)}, tmp_path)
    assert "short" not in str(wrong.value).replace("shorter", "")


@pytest.mark.parametrize(
    ("environment", "closed"),
    [("development", False), ("production", True), ("trial", True)],
)
def test_everything_but_development_is_closed(
    environment: str, tmp_path: Path, *, closed: bool
) -> None:
    read = read_settings({"ENVIRONMENT": environment}, tmp_path)

    assert read.is_production == closed


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"origins": "x"}',
        '{"seconds": {"lunch": 1}}',
        '{"seconds": {"ray": "soon"}}',
    ],
)
def test_unusable_config_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "app.json").write_text(text)

    with pytest.raises(SettingsError, match=r"app\.json"):
        read_settings({}, tmp_path)


@pytest.mark.parametrize(
    "file",
    [*(ROOT / "jimbot").rglob("*.py"), ROOT / "docker/services/ray/ray_health.py"],
)
def test_code_in_the_images_parses_on_python_3_9(file: Path) -> None:
    ast.parse(file.read_text(), feature_version=(3, 9))
