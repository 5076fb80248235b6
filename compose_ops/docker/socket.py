"""
Speak to the engine through its own socket, where the docker client would use that one.

A question takes 1 to 10 ms here; each docker process takes 30 to 70 ms to start. What
the socket refuses is asked of the docker client, whose words are known to the user.
"""

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote

from compose_ops.docker.api import Echo
from compose_ops.errors import START_ENGINE, EngineUnavailable

API = "v1.44"
"""Engine 25.0's, the oldest that is supported; later ones speak it too."""

OBJECTS = {
    "container": "containers/{}/json",
    "image": "images/{}/json",
    "network": "networks/{}",
    "volume": "volumes/{}",
}
"""What `docker NOUN inspect` asks, by noun; source: the Engine API's reference."""

LISTS = {
    "container": "containers/json?all=1&filters=",
    "network": "networks?filters=",
    "volume": "volumes?filters=",
}


HEADER, STDOUT = 8, 1


class RefusedError(Exception):
    """The socket gave no answer that can be used: the docker client is to be asked."""


class _Connection(HTTPConnection):
    def __init__(self, path: str, seconds: float | None) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True, slots=True)
class Daemon:
    """
    The engine behind a socket; every question raises RefusedError where it has none.

    EngineUnavailable when it takes the question and does not answer in time. `echo`
    gets the docker command that would ask the same.
    """

    path: str
    echo: Echo
    seconds: float

    def info(self) -> dict[str, Any]:
        """Return what `docker info` says of the engine, without its ClientInfo."""
        self.echo(["docker", "info"])
        return dict(self._ask(["info"])[0])

    def inspected(self, noun: str, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return what `docker NOUN inspect` prints of those that are still there."""
        self.echo(["docker", noun, "inspect", *names])
        quoted = (quote(name, safe="/:@") for name in names)
        found = self._ask([OBJECTS[noun].format(name) for name in quoted])
        return [one for one in found if one is not None]

    def listed(self, noun: str, filters: Sequence[str]) -> list[dict[str, Any]]:
        """
        Return all such objects by values of `docker NOUN ls --filter`.

        Networks and volumes are whole, but for a network's containers; of containers
        only Id and a summary is there.
        """
        flags = [word for value in filters for word in ("--filter", value)]
        every = ["--all"] if noun == "container" else []
        self.echo(["docker", noun, "ls", *every, *flags])
        wanted: dict[str, list[str]] = {}
        for word in filters:
            name, _, value = word.partition("=")
            wanted.setdefault(name, []).append(value)
        [found] = self._ask([LISTS[noun] + quote(json.dumps(wanted))])
        return list((found["Volumes"] or ()) if noun == "volume" else found)

    def samples(self, containers: Sequence[str]) -> list[dict[str, Any]]:
        """Return the engine's counters of those containers that are still there."""
        self.echo(["docker", "stats", "--no-stream", *containers])
        words = "containers/{}/stats?stream=false&one-shot=true"
        found = self._ask([words.format(quote(name)) for name in containers])
        return [one for one in found if one is not None]

    def act(
        self,
        argv: Sequence[str],
        target: str,
        body: Mapping[str, Any] | None = None,
        *,
        seconds: float | None = None,
    ) -> bytes:
        """
        Do what the docker command *argv* would, and return what the engine answers.

        It takes as long as it takes, where no *seconds* are given. Refused by the
        engine, cut off or late: RefusedError.
        """
        if argv:
            self.echo(argv)
        if not self.path:
            raise RefusedError
        connection = _Connection(self.path, seconds)
        text = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            connection.request("POST", f"/{API}/{target}", text, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException) as refused:
            raise RefusedError from refused
        finally:
            connection.close()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise RefusedError
        return content

    def looked(self, container: str, command: Sequence[str]) -> tuple[int, str]:
        """Return exit code and stdout of a command in a container."""
        argv = ["docker", "exec", container, *command]
        words = {"AttachStdout": True, "AttachStderr": True, "Cmd": list(command)}
        target = f"containers/{quote(container)}/exec"
        try:
            made = self.act(argv, target, words, seconds=self.seconds)
            name = json.loads(made)["Id"]
            start, how = f"exec/{name}/start", {"Detach": False}
            content = self.act((), start, how, seconds=self.seconds)
            code = self._ask([f"exec/{name}/json"])[0]["ExitCode"]
        except (KeyError, TypeError, ValueError) as refused:
            raise RefusedError from refused
        return int(code), stdout_of(content)

    def _ask(self, targets: Sequence[str]) -> list[Any]:
        """Return the JSON behind each target, None for what is not there."""
        if not self.path:
            raise RefusedError
        connection = _Connection(self.path, self.seconds)
        try:
            return [self._answer(connection, f"/{API}/{one}") for one in targets]
        except TimeoutError as late:
            raise EngineUnavailable(
                f"the Docker Engine does not answer within {self.seconds:g} s",
                hint=f"look at the daemon's log, then start it: {START_ENGINE}",
            ) from late
        except (OSError, HTTPException, ValueError) as refused:
            raise RefusedError from refused
        finally:
            connection.close()

    def _answer(self, connection: HTTPConnection, url: str) -> Any:
        connection.request("GET", url)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if answer.status != HTTPStatus.OK:
            raise RefusedError
        return json.loads(body)


def stdout_of(content: bytes) -> str:
    """Return stdout out of the engine's frames: 8 bytes of header, then the data."""
    parts = []
    while len(content) >= HEADER:
        end = HEADER + int.from_bytes(content[4:HEADER])
        if content[0] == STDOUT:
            parts.append(content[HEADER:end])
        content = content[end:]
    return b"".join(parts).decode(errors="replace")
