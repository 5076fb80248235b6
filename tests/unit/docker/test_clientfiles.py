"""The docker client's own files select its socket and its Compose plugin."""

import shutil
from pathlib import Path

import pytest

from compose_ops.docker import context
from compose_ops.docker.client import DockerEngine
from compose_ops.docker.context import socket_of

SOCKET = "/default.sock"


@pytest.mark.parametrize(
    ("flag", "variables", "wanted"),
    [
        (None, {}, SOCKET),
        (None, {"DOCKER_CONTEXT": "default"}, SOCKET),
        (None, {"DOCKER_HOST": "unix:///run/user/1000/docker.sock"}, "/run/user/1000/"),
        ("unix:///flag.sock", {"DOCKER_HOST": "tcp://far:2375"}, "/flag.sock"),
        (None, {"DOCKER_HOST": "tcp://far:2375"}, ""),
        (None, {"DOCKER_HOST": "ssh://far"}, ""),
        (None, {"DOCKER_CONTEXT": "far"}, ""),
        (None, {"DOCKER_API_VERSION": "1.41"}, ""),
        (None, {"DOCKER_TLS_VERIFY": "1"}, ""),
    ],
)
def test_socket_is_the_one_that_the_docker_client_uses(
    flag: str | None,
    variables: dict[str, str],
    wanted: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/docker")
    monkeypatch.setattr(context, "SOCKET", SOCKET)
    found = socket_of(flag, {"DOCKER_CONFIG": str(tmp_path), **variables})

    assert found.startswith(wanted)
    assert bool(found) == bool(wanted)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ('{"currentContext": "far"}', ""),
        ('{"currentContext": "default"}', SOCKET),
        ("torn", ""),
    ],
)
def test_context_of_the_configuration_counts(
    settings: str, wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/docker")
    monkeypatch.setattr(context, "SOCKET", SOCKET)
    (tmp_path / "config.json").write_text(settings)

    assert socket_of(None, {"DOCKER_CONFIG": str(tmp_path)}) == wanted


def made(folder: Path, says: str, *, name: str = "compose", mode: int = 0o755) -> Path:
    file = folder / f"docker-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho '{says}'\n")
    file.chmod(mode)
    return file


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, ...]:
    """Let plugins be in two folders of the machine."""
    found = (tmp_path / "first", tmp_path / "second")
    monkeypatch.setattr(context, "PLUGIN_FOLDERS", tuple(map(str, found)))
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/docker")
    return found


def test_the_users_own_plugin_comes_first(
    tmp_path: Path, folders: tuple[Path, ...]
) -> None:
    here = {"DOCKER_CONFIG": str(tmp_path / "config")}
    second = made(folders[1], "{}")
    assert context.plugin("compose", here) == str(second)

    first = made(folders[0], "{}")
    assert context.plugin("compose", here) == str(first)

    own = made(tmp_path / "config/cli-plugins", "{}")
    assert context.plugin("compose", here) == str(own)
    assert context.plugin("compose", {"HOME": "/nonexistent"}) == str(first)


@pytest.mark.parametrize("settings", ['{"cliPluginsExtraDirs": ["/opt"]}', "torn"])
def test_docker_itself_is_asked_where_its_choice_is_not_sure(
    settings: str, tmp_path: Path, folders: tuple[Path, ...]
) -> None:
    made(folders[0], "{}")
    (tmp_path / "config.json").write_text(settings)

    assert not context.plugin("compose", {"DOCKER_CONFIG": str(tmp_path)})


def test_docker_itself_is_asked_for_a_plugin_that_is_none(
    tmp_path: Path, folders: tuple[Path, ...]
) -> None:
    made(folders[0], "{}", mode=0o644)

    assert not context.plugin("compose", {"DOCKER_CONFIG": str(tmp_path)})


@pytest.mark.compose
def test_files_are_merged_by_the_plugin_itself(
    folders: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(folders[0], '{"name": "of the plugin"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    assert DockerEngine(project="trial").model() == {"name": "of the plugin"}


@pytest.mark.compose
def test_plugins_say_their_versions_and_a_broken_one_nothing(
    folders: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(folders[0], '{"Version": "v2.26.1"}')
    made(folders[0], "torn", name="buildx")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    assert DockerEngine().plugins() == {"compose": "v2.26.1", "buildx": ""}


@pytest.fixture
def asked(
    folders: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Return a file with one line for each time that the Compose plugin ran."""
    log = tmp_path / "asked"
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    made(folders[0], f'{{"Version": "v2.26.1"}}\'; echo asked >> \'{log}')
    made(folders[0], '{"Version": "v0.13.1"}', name="buildx")
    return log


def times(log: Path) -> int:
    return len(log.read_text().splitlines())


@pytest.mark.compose
def test_plugin_that_a_task_has_asked_is_known(asked: Path, tmp_path: Path) -> None:
    memory = tmp_path / "state/plugins.json"

    for _ in range(2):
        told = DockerEngine(plugins_file=memory).plugins()
        assert told == {"compose": "v2.26.1", "buildx": "v0.13.1"}
    assert times(asked) == 1


@pytest.mark.compose
def test_another_plugin_of_that_name_is_asked(
    asked: Path, folders: tuple[Path, ...], tmp_path: Path
) -> None:
    engine = DockerEngine(plugins_file=tmp_path / "state/plugins.json")
    engine.plugins()
    made(folders[0], '{"Version": "v2.40.0"}')

    assert engine.plugins()["compose"] == "v2.40.0"
    assert times(asked) == 1


@pytest.mark.compose
def test_who_only_looks_keeps_nothing(asked: Path, tmp_path: Path) -> None:
    memory = tmp_path / "state/plugins.json"
    engine = DockerEngine(plugins_file=memory, read_only=True)

    engine.plugins()
    engine.plugins()

    assert times(asked) == 2
    assert not memory.parent.exists()


@pytest.mark.compose
def test_plugins_are_the_same_with_docker_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    direct = DockerEngine().plugins()
    monkeypatch.setattr("compose_ops.docker.client.plugin", lambda *_: "")
    asked = DockerEngine().plugins()

    assert direct == {name: asked[name] for name in direct}
    assert set(direct) == {"compose", "buildx"}


@pytest.mark.compose
def test_model_is_the_same_with_docker_in_front(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is shown is the command that a person would type."""
    file = tmp_path / "compose.yml"
    file.write_text("services: {one: {image: busybox, command: [$PATH]}}\n")
    shown: list[list[str]] = []
    engine = DockerEngine(
        files=[file], project="trial", echo=lambda argv: shown.append(list(argv))
    )

    direct = engine.model()
    monkeypatch.setattr("compose_ops.docker.base.plugin", lambda *_: "")

    assert direct == engine.model()
    assert shown[0] == shown[1]
    assert shown[0][:2] == ["docker", "compose"]
