"""Which engine the client talks to: its own word, by whatever selects it."""

import json
from pathlib import Path

import pytest
from docker_script import Client, printing

from compose_ops.docker.client import DockerEngine
from compose_ops.errors import EngineUnavailable


@pytest.mark.compose
@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("unix:///run/user/1000/docker.sock", True),
        ("ssh://me@there:2222", False),
        ("tcp://there:2376", False),
    ],
)
def test_variable_selects_the_engine(
    host: str, monkeypatch: pytest.MonkeyPatch, *, is_local: bool
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    found = DockerEngine().endpoint()

    assert (found.host, found.is_local) == (host, is_local)


@pytest.mark.compose
def test_context_of_the_configuration_selects_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    made = DockerEngine().docker(
        "context", "create", "far", "--docker", "host=ssh://far"
    )
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "far"}))
    found = DockerEngine().endpoint()

    assert made.code == 0
    assert (found.context, found.host, found.is_local) == ("far", "ssh://far", False)


@pytest.mark.compose
def test_context_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "nothing")
    monkeypatch.delenv("DOCKER_HOST", raising=False)

    with pytest.raises(EngineUnavailable, match="no docker context named nothing"):
        DockerEngine().endpoint()


AT = {"Name": "default", "Endpoints": {"docker": {"Host": "ssh://far"}}}
REFUSED = "invalid mount config for type bind: bind source path does not exist: /x"


@pytest.mark.parametrize(
    ("end", "is_there"), [("", True), (f"sys.exit('{REFUSED}')\n", False)]
)
def test_path_is_looked_for_on_the_engine_s_host(
    client: Client, end: str, *, is_there: bool
) -> None:
    """A container is created with it and never runs."""
    script = client(
        f"if sys.argv[1] == 'context':\n    {printing(AT)}"
        f"elif sys.argv[1] == 'create':\n    pass; {end}"
    )

    assert DockerEngine().path_exists(Path("/x"), image="one") == is_there
    assert "type=bind,src=/x,dst=/there,readonly" in script.runs[1][0]
    assert {words[0] for words, _, _ in script.runs} <= {"context", "create", "rm"}


def test_path_of_a_local_engine_is_this_machine_s(
    client: Client, tmp_path: Path
) -> None:
    near = {"Name": "default", "Endpoints": {"docker": {"Host": "unix:///a.sock"}}}
    client(printing(near))

    assert DockerEngine().path_exists(tmp_path, image="one")
    assert not DockerEngine().path_exists(tmp_path / "gone", image="one")


def test_versions_of_plugins_come_with_the_engine_s_facts(client: Client) -> None:
    """A broken one has none."""
    plugins = [
        {"Name": "compose", "Version": "2.26.1"},
        {"Name": "buildx", "Err": "exec format error"},
    ]
    script = client(printing({"ID": "one", "ClientInfo": {"Plugins": plugins}}))
    found = DockerEngine().info()

    assert found.plugins == {"compose": "2.26.1", "buildx": ""}
    assert len(script.runs) == 1
