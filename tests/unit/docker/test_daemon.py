"""The engine's own socket: what it is asked, and when the docker client is instead."""

import json
import shutil
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote

import pytest

from compose_ops.docker.client import DockerEngine
from compose_ops.docker.socket import Daemon, RefusedError
from compose_ops.errors import EngineUnavailable


def frame(stream: int, data: bytes) -> bytes:
    """Return data as the engine sends it: 1 is stdout, 2 is stderr."""
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4) + data


ANSWERS = {
    "/v1.44/info": {"ID": "ENGINE", "ServerVersion": "26.1.5", "NCPU": 2},
    "/v1.44/images/localhost/jimbot-base:bookworm/json": {"Id": "sha256:1"},
    "/v1.44/volumes?filters={}": {"Volumes": [{"Name": "one"}]},
    '/v1.44/networks?filters={"label": ["a=b", "c=d"]}': [{"Id": "first"}],
    "/v1.44/networks/broken": "a fault",
    "/v1.44/containers/one/stats?stream=false&one-shot=true": {"id": "one"},
    "/v1.44/exec/1/json": {"ExitCode": 3},
}
DONE = {
    "/v1.44/containers/one/start": b"",
    "/v1.44/containers/one/exec": b'{"Id": "1"}',
    "/v1.44/exec/1/start": frame(1, b"out") + frame(2, b"error") + frame(1, b"put"),
}

got: list[tuple[str, str]] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        found = ANSWERS.get(unquote(self.path))
        code = 404 if found is None else 500 if isinstance(found, str) else 200
        body = json.dumps(found).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        got.append((self.path, self.rfile.read(length).decode()))
        body = DONE.get(self.path)
        self.send_response(409 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def address_string(self) -> str:
        return "the test"

    def log_message(self, *_words: object) -> None:
        """Stay silent."""


@contextmanager
def listening(path: Path) -> Iterator[str]:
    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield str(path)
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Daemon]:
    with listening(tmp_path / "s") as path:
        yield Daemon(path, lambda _argv: None, seconds=5)


def test_what_is_gone_is_left_out(engine: Daemon) -> None:
    found = engine.inspected("image", ["localhost/jimbot-base:bookworm", "gone"])

    assert found == [{"Id": "sha256:1"}]


def test_objects_are_listed_by_filters(engine: Daemon) -> None:
    found = engine.listed("network", ["label=a=b", "label=c=d"])

    assert found == [{"Id": "first"}]
    assert engine.listed("volume", []) == [{"Name": "one"}]


def test_what_is_done_says_what_it_is_done_with(engine: Daemon) -> None:
    engine.act(["docker"], "containers/one/start", {"a": 1})

    assert got.pop() == ("/v1.44/containers/one/start", '{"a": 1}')


def test_what_the_engine_refuses_to_do_is_left_to_the_docker_client(
    engine: Daemon,
) -> None:
    """It says why in words that people know."""
    with pytest.raises(RefusedError):
        engine.act(["docker"], "containers/gone/start")


def test_a_look_into_a_container_has_a_code_and_words(engine: Daemon) -> None:
    """Of stdout alone."""
    assert engine.looked("one", ["cat"]) == (3, "output")


def test_memory_is_counted_of_what_is_there(engine: Daemon) -> None:
    assert engine.samples(["one", "gone"]) == [{"id": "one"}]


def test_refusal_is_left_to_the_docker_client(engine: Daemon) -> None:
    with pytest.raises(RefusedError):
        engine.inspected("network", ["broken"])


@pytest.mark.parametrize("path", ["", "/nonexistent.sock"])
def test_without_a_socket_the_docker_client_is_asked(path: str) -> None:
    with pytest.raises(RefusedError):
        Daemon(path, lambda _argv: None, seconds=5).info()


def test_engine_that_hangs_is_named_in_time(tmp_path: Path) -> None:
    """It takes the connection, and says nothing."""
    with socketserver.UnixStreamServer(str(tmp_path / "s"), Handler):
        hanging = Daemon(str(tmp_path / "s"), lambda _argv: None, seconds=0.2)
        with pytest.raises(EngineUnavailable, match=r"within 0\.2 s"):
            hanging.info()


def test_engine_is_read_without_a_docker_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/docker")
    with listening(tmp_path / "s") as path:
        found = DockerEngine(host=f"unix://{path}").info()

    assert (found.id, found.version, found.cpus) == ("ENGINE", "26.1.5", 2)
