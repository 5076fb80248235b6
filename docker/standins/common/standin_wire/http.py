"""HTTP/1.1 as far as curl, browsers and health checks use it."""

import asyncio
import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, unquote, urlsplit

_HEADER_LINES_MAX = 100
_BODY_MAX = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One request; *headers* have lower-case names, *query* the last value of each."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def credentials(self) -> tuple[str, str] | None:
        """User and password of basic authentication, None where there is none."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            text = base64.b64decode(token, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        user, _, password = text.partition(":")
        return user, password


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; the length and the date are added when it is sent."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


async def talk_http(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answer: Callable[[Request], Response],
) -> None:
    """
    Answer requests on one connection until it closes.

    Raises asyncio.IncompleteReadError or ConnectionError when the client leaves
    in the middle of a request.
    """
    while (request := await _read(reader)) is not None:
        if isinstance(request, Response):
            writer.write(_encode(request, keep=False, head=False))
            await writer.drain()
            return
        keep = request.headers.get("connection", "").lower() != "close"
        writer.write(_encode(answer(request), keep=keep, head=request.method == "HEAD"))
        await writer.drain()
        if not keep:
            return


async def _read(reader: asyncio.StreamReader) -> Request | Response | None:
    """Read one request; a Response where it cannot be one; None at the end."""
    try:
        line = (await reader.readline()).decode("latin-1").strip()
    except ValueError:
        return Response(HTTPStatus.REQUEST_URI_TOO_LONG)
    if not line:
        return None
    words = line.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):  # noqa: PLR2004
        return Response(HTTPStatus.BAD_REQUEST)
    headers = await _read_headers(reader)
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers:
        return Response(HTTPStatus.LENGTH_REQUIRED)
    if not length.isdecimal() or int(length) > _BODY_MAX:
        return Response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    url = urlsplit(words[1])
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    body = await reader.readexactly(int(length))
    return Request(words[0], unquote(url.path), query, headers, body)


async def _read_headers(reader: asyncio.StreamReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(_HEADER_LINES_MAX):
        line = (await reader.readline()).decode("latin-1").strip()
        if not line:
            return headers
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    raise ConnectionAbortedError


def _encode(response: Response, *, keep: bool, head: bool) -> bytes:
    phrase = HTTPStatus(response.status).phrase
    lines = [f"HTTP/1.1 {response.status} {phrase}"]
    if response.status != HTTPStatus.NO_CONTENT:
        lines.append(f"Content-Type: {response.content_type}")
    lines.append(f"Content-Length: {len(response.body)}")
    lines.append(f"Connection: {'keep-alive' if keep else 'close'}")
    lines.extend(f"{name}: {value}" for name, value in response.headers.items())
    text = "\r\n".join([*lines, "", ""])
    return text.encode("latin-1") + (b"" if head else response.body)
