"""Who may call, and how often."""

from __future__ import annotations

import hmac
import time
from collections import deque
from collections.abc import Collection, Mapping
from ipaddress import ip_address
from typing import Callable
from urllib.parse import urlsplit

from starlette.requests import Request

from jimbot.mcp.jsonrpc import FORBIDDEN, RATE_LIMITED, UNAUTHORIZED

MINUTE = 60.0
ANYBODY = "anybody"


class RefusedError(Exception):
    """A request that is not let in: its HTTP status, headers and JSON-RPC code."""

    def __init__(
        self,
        status: int,
        code: int,
        text: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Keep what the answer says; *text* is for the client."""
        super().__init__(text)
        self.status, self.code, self.headers = status, code, headers or {}


class Access:
    """
    Lets in who has a token, from no foreign web page, *limit* times a minute each.

    Without a token only this machine's own clients get in, and only where *is_open*:
    the port is published on a loopback address, or the peer has one.
    """

    def __init__(
        self,
        tokens: Mapping[str, str],
        limit: int,
        *,
        is_open: bool,
        published_on: str,
        origins: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Let in the clients of *tokens* (name: token)."""
        self._tokens = {name: token.encode() for name, token in tokens.items()}
        self._limit = limit
        self._open = is_open
        self._published_here = is_loopback(published_on)
        self._origins = origins
        self._clock = clock
        self._calls: dict[str, deque[float]] = {}

    def client(self, request: Request) -> str:
        """
        Return the name of the client that sent *request*.

        Raises RefusedError: 403 for a foreign web page, 401 without a known token.
        """
        origin = request.headers.get("origin")
        if origin is not None and not self._is_ours(origin):
            raise RefusedError(403, FORBIDDEN, "this web page may not call")
        given = request.headers.get("authorization", "")
        name = self._name(given)
        if name is None and (given or not self._needs_none(request)):
            challenge = {"WWW-Authenticate": 'Bearer realm="jimbot"'}
            text = "a bearer token of secrets/api_keys.json is needed"
            raise RefusedError(401, UNAUTHORIZED, text, challenge)
        return name or ANYBODY

    def count(self, client: str, calls: int = 1) -> None:
        """
        Count *calls* of *client*.

        Raises RefusedError with 429 and Retry-After (seconds); then nothing counts.
        """
        now = self._clock()
        times = self._calls.setdefault(client, deque())
        while times and times[0] <= now - MINUTE:
            times.popleft()
        excess = len(times) + calls - self._limit
        if excess > 0:
            first = times[min(excess, len(times)) - 1] if times else now
            wait = max(1, int(first + MINUTE - now + 0.999))
            text = f"more than {self._limit} calls a minute: wait {wait} s"
            raise RefusedError(429, RATE_LIMITED, text, {"Retry-After": str(wait)})
        times.extend([now] * calls)

    def _name(self, given: str) -> str | None:
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer":
            return None
        # Every token is compared, so that the time tells of none.
        found = [
            name
            for name, known in self._tokens.items()
            if hmac.compare_digest(known, token.encode())
        ]
        return found[0] if found else None

    def _needs_none(self, request: Request) -> bool:
        peer = request.client.host if request.client else ""
        return self._open and (self._published_here or is_loopback(peer))

    def _is_ours(self, origin: str) -> bool:
        if origin in self._origins:
            return True
        try:
            host = urlsplit(origin).hostname or ""
        except ValueError:
            return False
        return host == "localhost" or is_loopback(host)


def is_loopback(address: str) -> bool:
    """Return whether *address* is one of this machine alone."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
