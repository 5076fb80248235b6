"""
Look at the engine through its own socket, where the docker client would use that one.

A question takes 1 to 10 ms here; each docker process takes 30 to 70 ms to start. What
the socket refuses is asked of the docker client, whose words are known to the user.
"""

import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote

from jimbot_stack.engine import Echo
from jimbot_stack.errors import EngineUnavailable

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


class RefusedError(Exception):
    """The socket gave no answer that can be used: the docker client is to be asked."""


class _Connection(HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
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
                hint="look at the daemon's log, then start it: ./scripts/engine.sh",
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
