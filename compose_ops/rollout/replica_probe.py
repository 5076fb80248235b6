"""Requests to one replica, past the gateway, which it must answer to be admitted."""

import http.client
import socket
from collections.abc import Callable
from itertools import cycle

from compose_ops.docker.api import Container, Engine
from compose_ops.errors import UnhealthyError
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.policy import ProbeSettings

ANSWER_SECONDS = 5.0
ROUTE_SECONDS = 1.0
BODY = b"jimbot-stack asks whether this replica answers"
OK = 200

Ask = Callable[[], str]
"""Send one request; return what is wrong with the answer, or nothing."""


def asker(context: UpdateContext, container: Container) -> Ask:
    """
    Return a way to ask *container*, from this host or, without a route, from inside it.

    Raises UnhealthyError when neither is open.
    """
    engine, traffic = context.engine, context.traffic
    if traffic is None:
        return lambda: ""
    for address in filter(None, container.networks.values()):
        if _has_route(address, traffic.port):
            return _by_address(address, traffic)
    if engine.execute(container.id, ["curl", "--version"], timeout=10).code != 0:
        raise UnhealthyError(
            f"{container.name} cannot be asked: this host has no route to it, "
            "and it has no curl",
            hint="run the update on the engine's own host, or add curl to the image",
        )
    return _from_inside(engine, container.id, traffic)


def _has_route(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), ROUTE_SECONDS).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


def _by_address(address: str, traffic: ProbeSettings) -> Ask:
    kinds = [("GET", traffic.get, b"")]
    kinds += [("POST", traffic.post, BODY)] if traffic.post else []
    kinds += [("GET", traffic.health, b"")] if traffic.health else []
    order = cycle(kinds)

    def ask() -> str:
        method, path, body = next(order)
        return once(address, traffic.port, method, path, body)

    return ask


def once(address: str, port: int, method: str, path: str, body: bytes = b"") -> str:
    """Send one request on a fresh connection; return what is wrong, or nothing."""
    connection = http.client.HTTPConnection(address, port, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, path, body=body or None)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as broken:
        return f"{method} {path}: {type(broken).__name__}: {broken}"
    finally:
        connection.close()
    return judge(method, path, body, answer.status, content)


def judge(method: str, path: str, body: bytes, status: int, content: bytes) -> str:
    """Return what is wrong with an answer, or nothing."""
    if status != OK:
        return f"{method} {path} answered {status}"
    if method == "POST" and content != body:
        return f"{method} {path} answered another body than was sent"
    if not content:
        return f"{method} {path} answered nothing"
    return ""


def _from_inside(engine: Engine, container: str, traffic: ProbeSettings) -> Ask:
    url = f"http://127.0.0.1:{traffic.port}{traffic.get}"
    limit = str(int(ANSWER_SECONDS))

    def ask() -> str:
        output = engine.execute(
            container,
            ["curl", "-s", "-o", "/dev/null", "-m", limit, "-w", "%{http_code}", url],
            timeout=ANSWER_SECONDS * 2,
        )
        wrong = output.stdout.strip() != str(OK)
        return f"GET {traffic.get} answered {output.stdout.strip()}" if wrong else ""

    return ask
