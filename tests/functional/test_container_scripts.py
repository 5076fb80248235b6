"""The two scripts that containers run: wait-for-it.sh and health-check.sh."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import ROOT

SCRIPTS = ROOT / "docker" / "scripts"


def wait_for(*words: str) -> subprocess.CompletedProcess[str]:
    """Run wait-for-it.sh with *words*."""
    return subprocess.run(
        [SCRIPTS / "wait-for-it.sh", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def open_port() -> Iterator[int]:
    """Return a port that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_waiting_ends_with_the_commands_status(open_port: int) -> None:
    """An open port lets the command run, and its status is the script's."""
    assert wait_for(f"127.0.0.1:{open_port}").returncode == 0
    assert (
        wait_for(f"127.0.0.1:{open_port}", "--", "sh", "-c", "exit 7").returncode == 7
    )


def test_waiting_gives_up_after_its_timeout(free_port: int) -> None:
    """A port that stays closed is one line and status 1; the command never runs."""
    done = wait_for(f"127.0.0.1:{free_port}", "--timeout", "0", "--", "echo", "ran")

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")


def test_waiting_sees_a_port_that_opens_later(free_port: int) -> None:
    """A server that starts listening in the meantime is found."""
    process = subprocess.Popen([SCRIPTS / "wait-for-it.sh", f"127.0.0.1:{free_port}"])
    assert process.poll() is None
    with socket.create_server(("127.0.0.1", free_port)):
        assert process.wait(timeout=60) == 0


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("host",),
        (":80",),
        ("host:port",),
        ("host:80", "--timeout"),
        ("host:80", "--timeout", "soon"),
        ("host:80", "--none"),
    ],
)
def test_wrong_usage_is_two_lines(words: tuple[str, ...]) -> None:
    """Bad words are an error, a hint and status 2."""
    done = wait_for(*words)

    assert done.returncode == 2
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == [
        "error",
        "hint",
    ]


@pytest.mark.parametrize(("answer", "status"), [("200", 0), ("503", 1)])
def test_health_check_judges_the_answer(
    tmp_path: Path, answer: str, status: int
) -> None:
    """Only 200 is healthy; curl is replaced, its answer is what counts."""
    curl = tmp_path / "curl"
    curl.write_text(f"#!/bin/sh\nprintf {answer}\n")
    curl.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    done = subprocess.run(
        [SCRIPTS / "health-check.sh"], env=environment, check=False, timeout=60
    )

    assert done.returncode == status


def test_health_check_fails_when_nobody_answers(tmp_path: Path) -> None:
    """A curl that cannot connect ends the script with a status that is not 0."""
    curl = tmp_path / "curl"
    curl.write_text("#!/bin/sh\nprintf 000\nexit 7\n")
    curl.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    done = subprocess.run(
        [SCRIPTS / "health-check.sh"], env=environment, check=False, timeout=60
    )

    assert done.returncode != 0


def test_ray_starts_without_the_sessions_of_long_ago(tmp_path: Path) -> None:
    """Each start adds one to the volume; two are kept beside the new one."""
    ray = tmp_path / "bin/ray"
    ray.parent.mkdir()
    ray.write_text('#!/bin/sh\necho "$@"\n')
    ray.chmod(0o755)
    top = tmp_path / "ray"
    for day in (3, 1, 10, 7):
        (top / f"session_2026-11-{day:02}_08-00-00_1/logs").mkdir(parents=True)
    (top / "session_latest").symlink_to("session_2026-11-10_08-00-00_1")
    (top / "prom_metrics").mkdir()
    path = f"{ray.parent}:{os.environ['PATH']}"

    done = subprocess.run(
        [ROOT / "docker/services/ray/entrypoint.sh", "ray", "start", "--head"],
        env={**os.environ, "PATH": path, "RAY_TMPDIR": str(top)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith("start --head --node-manager-port=6380")
    assert {one.name for one in top.iterdir()} == {
        "session_2026-11-10_08-00-00_1",
        "session_2026-11-07_08-00-00_1",
        "session_latest",
        "prom_metrics",
    }
