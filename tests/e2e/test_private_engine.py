"""The private engine stands alone, comes back with its data, and leaves nothing."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from private_engine import PrivateEngine, cgroups_named

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="a second dockerd needs root"),
]

BASE = "localhost/jimbot-base:bookworm"
ASK = """
import sys, urllib.request
url = f"http://127.0.0.1:{sys.argv[1]}"
print(urllib.request.urlopen(url, timeout=5).status)
"""
WAIT = """
import socket, time
while socket.socket().connect_ex(("127.0.0.1", 8000)):
    time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    with PrivateEngine(live_restore=True) as engine:
        engine.load(BASE)
        yield engine


@pytest.fixture
def port() -> int:
    """Return a port that nothing on this machine listens on."""
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        return int(plug.getsockname()[1])


@pytest.fixture
def server(engine: PrivateEngine, port: int) -> Iterator[str]:
    """Return the id of a web server that the private engine publishes."""
    command = ["run", "--detach", "--publish", f"127.0.0.1:{port}:8000", BASE]
    container = engine.docker(*command, "python3", "-m", "http.server", "8000")
    engine.docker("exec", container, "timeout", "20", "python3", "-c", WAIT)
    yield container
    engine.docker("rm", "--force", container)


def test_other_engine_sees_none_of_it(engine: PrivateEngine, server: str) -> None:
    machines = subprocess.check_output(["docker", "ps", "--quiet", "--no-trunc"])
    assert server not in machines.decode()
    assert server in engine.docker("ps", "--quiet", "--no-trunc")


@pytest.mark.usefixtures("server")
def test_published_port_is_reached_only_from_its_network(
    engine: PrivateEngine, port: int
) -> None:
    ask = [sys.executable, "-c", ASK, str(port)]
    assert engine.reach(ask).stdout == "200\n"
    assert subprocess.run(ask, capture_output=True, check=False).returncode


def test_killed_daemon_comes_back_with_its_container(
    engine: PrivateEngine, server: str
) -> None:
    started = engine.docker("inspect", "--format", "{{.State.StartedAt}}", server)
    engine.kill()
    assert not engine.answers()
    engine.start()
    state = "{{.State.Running}} {{.State.StartedAt}}"
    assert engine.docker("inspect", "--format", state, server) == f"true {started}"


def test_closing_leaves_no_process_file_or_cgroup() -> None:
    with PrivateEngine() as engine:
        marker = str(engine.directory)
        assert _processes(marker)
    assert not engine.directory.exists()
    assert not _processes(marker)
    assert not cgroups_named(engine.directory.name)


def _processes(marker: str) -> list[str]:
    """Return the processes whose command line names the marker."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_text()
        except OSError:
            continue
        if marker in line:
            found.append(line)
    return found
