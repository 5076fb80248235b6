"""A project's files are found where Compose itself finds them."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from compose_ops.errors import ConfigurationError
from compose_ops.library.opening import Selection, find, normalised


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder, in a shell without variables of Compose."""
    for name in [name for name in os.environ if name.startswith("COMPOSE_")]:
        monkeypatch.delenv(name)
    return tmp_path


def write(folder: Path, *names: str) -> None:
    """Write compose files, each with a service of its own name."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        service = Path(name).name.replace(".", "-")
        text = json.dumps({"services": {service: {"image": "none:1"}}})
        (folder / name).write_text(text)


def found(folder: Path) -> list[str]:
    place = find(Selection(folder)).found
    return [os.path.relpath(file, folder) for file in place.files]


def composes(folder: Path) -> set[str]:
    """Return the services of what Compose finds itself in *folder*."""
    words = ["docker", "compose", "config", "--services"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def services(folder: Path) -> set[str]:
    """Return the services of the files that are found here."""
    texts = [
        json.loads(file.read_text()) for file in find(Selection(folder)).found.files
    ]
    return {name for text in texts for name in text["services"]}


CASES = {
    "preferred name": ["compose.yaml", "compose.yml", "docker-compose.yml"],
    "old name": ["docker-compose.yml", "docker-compose.yaml"],
    "override": ["docker-compose.yaml", "docker-compose.override.yml"],
    "one override": ["compose.yml", "compose.override.yml", "compose.override.yaml"],
}


@pytest.mark.compose
@pytest.mark.parametrize("names", CASES.values(), ids=list(CASES))
@pytest.mark.parametrize("below", [".", "web/src"])
def test_default_files_are_those_of_compose(
    folder: Path, names: list[str], below: str
) -> None:
    """Also from a folder below the project's."""
    write(folder, *names)
    (folder / below).mkdir(parents=True, exist_ok=True)

    assert services(folder / below) == composes(folder / below)


@pytest.mark.compose
@pytest.mark.parametrize(
    "variables",
    [
        {"COMPOSE_FILE": "a.yml:sub/b.yml"},
        {"COMPOSE_FILE": "a.yml,sub/b.yml", "COMPOSE_PATH_SEPARATOR": ","},
    ],
)
@pytest.mark.parametrize("where", ["shell", ".env"])
def test_compose_file_wins_over_default_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], where: str
) -> None:
    write(folder, "compose.yaml", "a.yml", "sub/b.yml")
    if where == ".env":
        lines = (f"{name}={value}\n" for name, value in variables.items())
        (folder / ".env").write_text("".join(lines))
    for name, value in variables.items() if where == "shell" else ():
        monkeypatch.setenv(name, value)

    assert services(folder) == composes(folder) == {"a-yml", "b-yml"}


def test_configuration_wins_over_default_files(folder: Path) -> None:
    write(folder, "compose.yaml", "ops/base.yml", "web/compose.yaml")
    (folder / "compose-ops.toml").write_text('files = ["ops/base.yml"]')

    assert found(folder) == ["ops/base.yml"]
    assert services(folder / "web") == {"base-yml"}


def test_compose_file_wins_over_the_configuration(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for a mode that a flag names: it is of the configuration's files."""
    write(folder, "compose.yaml", "a.yml", "dev.yml")
    text = 'files = ["compose.yaml"]\n[modes.dev]\nfiles = ["dev.yml"]'
    (folder / "compose-ops.toml").write_text(text)
    monkeypatch.setenv("COMPOSE_FILE", str(folder / "a.yml"))

    assert found(folder) == ["a.yml"]
    moded = find(Selection(folder, modes=("dev",)))
    assert [file.name for file in moded.found.files] == ["compose.yaml"]


def test_env_files_of_the_shell_replace_the_projects(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, "compose.yaml")
    (folder / ".env").write_text("COMPOSE_PROJECT_NAME=one")
    (folder / "b.env").write_text("COMPOSE_PROJECT_NAME=two")
    monkeypatch.setenv("COMPOSE_ENV_FILES", "b.env")

    place = find(Selection(folder)).found

    assert place.env_files == (folder / "b.env",)
    assert place.values["COMPOSE_PROJECT_NAME"] == "two"


def test_without_a_compose_file_the_message_names_the_folder(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="no compose file in") as refused:
        find(Selection(folder))

    assert str(folder) in refused.value.message
    assert "COMPOSE_FILE" in refused.value.hint


def test_file_that_is_not_there_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPOSE_FILE", "missing.yml")

    with pytest.raises(ConfigurationError, match=r"missing\.yml") as refused:
        find(Selection(folder))

    assert "COMPOSE_FILE" in refused.value.hint


@pytest.mark.compose
@pytest.mark.parametrize("name", ["My App.2", "__shop-Ü", "shop_1"])
def test_folders_name_becomes_the_projects_as_compose_makes_it(
    folder: Path, name: str
) -> None:
    write(folder / name, "compose.yaml")
    words = ["docker", "compose", "config", "--format", "json"]
    done = subprocess.run(
        words, cwd=folder / name, capture_output=True, text=True, check=True
    )

    assert normalised(name) == json.loads(done.stdout)["name"]
