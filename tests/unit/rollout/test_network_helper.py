"""What a helper container answers, as a program of its own."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from small_server import Asked, answer, serving

from compose_ops.rollout.helpers import SOURCE


@pytest.fixture
def helper() -> Iterator["subprocess.Popen[str]"]:
    """Run the file as a container does: without the package, by its source alone."""
    argv = [sys.executable, "-I", "-c", SOURCE.read_text()]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


def ask(helper: "subprocess.Popen[str]", **request: object) -> dict[str, object]:
    assert helper.stdin
    assert helper.stdout
    helper.stdin.write(json.dumps(request) + "\n")
    helper.stdin.flush()
    found: dict[str, object] = json.loads(helper.stdout.readline())
    return found


def http(port: int, **changes: object) -> dict[str, object]:
    request = {
        "kind": "http",
        "host": "127.0.0.1",
        "port": port,
        "scheme": "http",
        "method": "POST",
        "path": "/echo",
        "headers": {"Host": "shop.example"},
        "body": "\xff\x00",
        "timeout": 2.0,
    }
    return {**request, **changes}


def test_a_request_is_sent_as_it_is_given(helper: "subprocess.Popen[str]") -> None:
    """Bytes come back as they were, whatever they are."""
    with serving() as server:
        found = ask(helper, **http(server.port))
        [asked] = server.asked

    assert found == {"status": 200, "body": "\xff\x00"}
    assert (asked.method, asked.path, asked.body) == ("POST", "/echo", b"\xff\x00")


@pytest.mark.parametrize("broken", [b"", b"broken"])
def test_no_answer_is_an_error_and_the_helper_lives(
    helper: "subprocess.Popen[str]", broken: bytes
) -> None:
    def reply(asked: Asked) -> bytes:
        return broken if asked.path == "/bad" else answer(204, b"")

    with serving(reply) as server:
        assert "error" in ask(helper, **http(server.port, path="/bad"))
        assert ask(helper, **http(server.port))["status"] == 204


def test_a_command_goes_to_the_runtime_api(helper: "subprocess.Popen[str]") -> None:
    with socket.create_server(("127.0.0.1", 0)) as api:
        port = api.getsockname()[1]

        def serve() -> None:
            connection, _ = api.accept()
            with connection:
                command = connection.recv(100)
                connection.sendall(b"you said " + command)

        thread = threading.Thread(target=serve)
        thread.start()
        found = ask(helper, kind="runtime", port=port, command="show stat", timeout=2)
        thread.join()

    assert found == {"text": "you said show stat\n"}


def test_an_api_that_does_not_listen_is_an_error(
    helper: "subprocess.Popen[str]",
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    assert "refused" in str(
        ask(helper, kind="runtime", port=port, command="show stat", timeout=2)["error"]
    )
