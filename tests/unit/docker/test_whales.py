"""What python-on-whales asks: with a time limit, an environment, and errors of ours."""

import subprocess
import tempfile
from pathlib import Path

import pytest
from docker_script import Client
from python_on_whales import DockerClient

from compose_ops.docker.client import DockerEngine
from compose_ops.errors import EngineError, EngineUnavailable


def test_request_that_hangs_is_ended_and_named(client: Client) -> None:
    script = client("time.sleep(60)\n")
    engine = DockerEngine(project="trial")

    with pytest.raises(EngineUnavailable, match=r"compose down did not end within 0.5"):
        engine.call(lambda docker: docker.compose.down(), timeout=0.5)
    assert not script.is_alive()


def test_ctrl_c_ends_the_client(client: Client) -> None:
    script = client("os.kill(os.getppid(), signal.SIGINT)\ntime.sleep(60)\n")

    with pytest.raises(KeyboardInterrupt):
        DockerEngine(project="trial").up()
    assert not script.is_alive()


def test_client_that_was_killed_is_named_by_the_signal(client: Client) -> None:
    client("os.kill(os.getpid(), 9)\n")

    with pytest.raises(EngineError, match="killed by signal 9"):
        DockerEngine(project="trial").up()


def test_refusal_says_docker_s_words(client: Client) -> None:
    client("sys.exit('Error response from daemon: volume is in use')\n")

    with pytest.raises(EngineError, match="volume is in use"):
        DockerEngine().remove_volume("data")


def test_answer_that_cannot_be_read_is_not_left_on_the_disk(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would hold the environment of containers."""
    client('print(\'[{"Name": {}, "Mountpoint": 3}]\')\n')
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with pytest.raises(EngineError, match="cannot read what docker answered"):
        DockerEngine().call(lambda docker: docker.volume.inspect("data"), timeout=9)
    assert not list(tmp_path.glob("*.json"))


def test_requests_of_others_in_the_process_are_left_alone(client: Client) -> None:
    """A library must not change what its caller does with python-on-whales."""
    script = client("print('26.1.5')\n")
    engine = DockerEngine(project="trial", environment={"OURS": "yes"})
    engine.down()
    DockerClient().compose.version()

    (_, ours, _), (_, theirs, _) = script.runs
    assert ours["OURS"] == "yes"
    assert "OURS" not in theirs
    assert subprocess.run(["true"], check=False).returncode == 0
