"""The monitoring port: it accepts a WebSocket and sends nothing until it closes."""

import asyncio
import base64
import hashlib

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455
_REFUSAL = b"HTTP/1.1 426 Upgrade Required\r\nConnection: close\r\n\r\n"


async def talk_monitoring(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Take the WebSocket handshake, then hold the connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    pairs = (line.partition(":") for line in head.split("\r\n")[1:])
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if "sec-websocket-key" not in headers:
        writer.write(_REFUSAL)
        await writer.drain()
        return
    digest = hashlib.sha1((headers["sec-websocket-key"] + _GUID).encode())  # noqa: S324
    accept = base64.b64encode(digest.digest()).decode()
    writer.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode()
    )
    await writer.drain()
    while await reader.read(1024):
        pass
