"""Requests to one replica, past the gateway, which it must answer to be admitted."""

import socket
from collections.abc import Callable, Mapping
from itertools import cycle
from typing import Any

from compose_ops.docker.api import Container
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.network_helper import exchange
from compose_ops.rollout.open_loop import ANSWER_SECONDS, ProbeRequest
from compose_ops.rollout.policy import ProbeSettings

ROUTE_SECONDS = 1.0
BODY = b"compose-ops: does this replica answer?"

Ask = Callable[[], str]
"""Send one request; return what is wrong with the answer, or nothing."""

Send = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def asker(context: UpdateContext, container: Container) -> Ask:
    """
    Return a way to send the service's requests to *container*, one after another.

    From this host where it has a route, else from a helper in the container's network.
    """
    traffic = context.traffic
    if traffic is None:
        return lambda: ""
    is_local = context.engine.endpoint().is_local
    for address in filter(None, container.networks.values()) if is_local else ():
        if _has_route(address, traffic.port):
            return _asker(traffic, address, lambda request: exchange(dict(request)))
    helpers, reference = context.helpers, container.id

    def send(request: Mapping[str, Any]) -> Mapping[str, Any]:
        return helpers.ask(reference, {"kind": "http", **request})

    return _asker(traffic, "127.0.0.1", send)


def _asker(traffic: ProbeSettings, address: str, send: Send) -> Ask:
    order = cycle(filter(None, (traffic.page, traffic.echo, traffic.health_page)))

    def ask() -> str:
        return once(traffic, next(order), address, send)

    return ask


def once(
    traffic: ProbeSettings, request: ProbeRequest, address: str, send: Send
) -> str:
    """Send one request to *address*; return what is wrong with the answer."""
    body = BODY if request.echoes else request.body
    answer = send(
        {
            "host": address,
            "port": traffic.port,
            "scheme": traffic.scheme,
            "method": request.method,
            "path": request.path,
            "headers": {"Host": traffic.host_header(address, traffic.port)},
            "body": body.decode("latin-1"),
            "timeout": ANSWER_SECONDS,
        }
    )
    if "error" in answer:
        return f"{request.method} {request.path}: {answer['error']}"
    content = str(answer["body"]).encode("latin-1")
    return request.judge(answer["status"], content, body)


def _has_route(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), ROUTE_SECONDS).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True
