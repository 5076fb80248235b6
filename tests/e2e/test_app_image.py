"""The application's image: its user, its signals, and the developer's two switches."""

import http.client
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e_scenario import docker
from literal_engine import Literals, container
from own_images import app_image
from repository import ROOT
from waiting import until

pytestmark = pytest.mark.docker

HELD = (
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only"),
    *("--tmpfs", "/tmp", "--tmpfs", "/var/run", "--memory", "512m"),
    *("--publish", "127.0.0.1:0:8000"),
)
HEALTHY = ("curl", "-f", "http://localhost:8000/health")
DEBUGPY = ("python", "-m", "debugpy", "--listen", "0.0.0.0:5678", "-m", "jimbot.main")


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    with app_image() as image:
        yield image


@pytest.fixture(scope="module")
def development() -> Iterator[str]:
    with app_image(target="development") as image:
        yield image


@pytest.fixture
def literals(tmp_path: Path) -> Iterator[Literals]:
    made = Literals(name=f"app-{os.urandom(4).hex()}", folder=tmp_path)
    yield made
    made.remove()


def started(literals: Literals, image: str, *options: str, command: Any = ()) -> str:
    """Start the application as process 1, and wait until it is healthy."""
    label = ("--label", f"jimbot.literal={literals.name}")
    words = ("run", "--detach", *label, *HELD, *options, image, *command)
    app = docker(*words).strip()
    healthy = until(lambda: literals.run("exec", app, *HEALTHY).returncode == 0)
    assert healthy, docker("logs", app, check=False)
    return app


def published(name: str, port: int) -> int:
    bindings = container(name)["NetworkSettings"]["Ports"][f"{port}/tcp"]
    return int(bindings[0]["HostPort"])


def get(port: int, path: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_default_stage_is_the_runtime(image: str) -> None:
    """A build that names no stage has neither the debugger nor root."""
    run = ("run", "--rm", image)
    found = docker(
        *run, "sh", "-c", "id -u; python -m pip list 2>/dev/null; touch /app/x; ls /app"
    ).split()

    assert found[0] == "1000"
    assert "starlette" in found
    assert "debugpy" not in found
    assert "x" not in found


def test_process_1_drains_and_ends_with_0(literals: Literals, image: str) -> None:
    """SIGUSR1 turns /health to 503 while pages are served; a stop is a normal end."""
    logs = literals.volume()
    app = started(literals, image, "--volume", f"{logs}:/app/logs")
    port = published(app, 8000)

    docker("kill", "--signal", "USR1", app)
    assert until(lambda: get(port, "/health")[0] == 503, seconds=10)
    assert get(port, "/")[0] == 200
    docker("stop", "--time", "30", app)

    assert container(app)["State"]["ExitCode"] == 0
    read = ("run", "--rm", "--volume", f"{logs}:/logs", image)
    lines = docker(*read, "sh", "-c", "cat /logs/app-*.log").splitlines()
    assert all(json.loads(line)["level"] for line in lines)
    assert any("Uvicorn running" in json.loads(line)["message"] for line in lines)


def test_edited_code_answers_under_the_debugger(
    literals: Literals, development: str
) -> None:
    """With RELOAD and DEBUG a saved file is served, and the debugger is there."""
    code = literals.folder / "jimbot"
    shutil.copytree(ROOT / "jimbot", code)
    literals.folder.chmod(0o755)
    app = started(
        literals,
        development,
        *("--volume", f"{code}:/app/jimbot", "--publish", "127.0.0.1:0:5678"),
        *("--env", "DEBUG=true", "--env", "RELOAD=true"),
        command=DEBUGPY,
    )
    port = published(app, 8000)

    def version() -> str | None:
        try:
            return str(get(port, "/")[1]["version"])
        except (OSError, http.client.HTTPException):
            return None

    assert version()
    save(code / "__init__.py", "__version__ = (\n")
    assert until(lambda: version() is None), "code that does not parse was served"
    save(code / "__init__.py", '__version__ = "edited"\n')
    assert until(lambda: version() == "edited"), docker("logs", app, check=False)
    assert debugger_answers(published(app, 5678))

    begin = time.monotonic()
    docker("stop", "--time", "30", app)
    assert time.monotonic() - begin < 15
    assert container(app)["State"]["ExitCode"] == 0


def test_debug_alone_opens_the_debugger(literals: Literals, development: str) -> None:
    """DEBUG listens by itself where the command does not."""
    debug = ("--env", "DEBUG=true", "--publish", "127.0.0.1:0:5678")
    app = started(literals, development, *debug)

    assert debugger_answers(published(app, 5678))


def test_debug_without_the_debugger_is_refused(literals: Literals, image: str) -> None:
    """The runtime image says in one line what DEBUG lacks, and ends with 3."""
    done = literals.once("--env", "DEBUG=true", command=(), image=image)

    assert done.returncode == 3
    assert done.stderr.startswith("error: DEBUG")


def debugger_answers(port: int) -> bool:
    """Shake hands with the debug adapter."""
    request = {
        "seq": 1,
        "type": "request",
        "command": "initialize",
        "arguments": {"adapterID": "test"},
    }
    body = json.dumps(request).encode()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        stream = connection.makefile("rb")
        while True:
            length = int(stream.readline().split(b":")[1])
            stream.readline()
            message = json.loads(stream.read(length))
            if message["type"] == "response":
                return bool(message["success"])


def save(file: Path, text: str) -> None:
    """Write as editors do: the file is never seen half written."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)
