"""
The client protocol of port 1113, as far as heartbeats and pings go.

A package is `length:u32 command:u8 flags:u8 correlation:16 bytes` and its data.
"""

import asyncio
import struct

from eventstore_standin.web import NOT_UNDERSTOOD

_HEARTBEAT_REQUEST, _HEARTBEAT_RESPONSE, _PING, _PONG = 0x01, 0x02, 0x03, 0x04
_BAD_REQUEST = 0xF0
_ANSWERS = {_HEARTBEAT_REQUEST: _HEARTBEAT_RESPONSE, _PING: _PONG}
_HEAD = 18  # bytes of command, flags and correlation
_PACKAGE_MAX = 64 * 1024 * 1024


async def talk_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer packages until the client closes or sends what cannot be one."""
    while True:
        (length,) = struct.unpack("<I", await reader.readexactly(4))
        if not _HEAD <= length <= _PACKAGE_MAX:
            return
        package = await reader.readexactly(length)
        if package[0] == _HEARTBEAT_RESPONSE:
            continue
        command = _ANSWERS.get(package[0], _BAD_REQUEST)
        data = NOT_UNDERSTOOD.encode() if command == _BAD_REQUEST else b""
        body = bytes([command, 0]) + package[2:_HEAD] + data
        writer.write(struct.pack("<I", len(body)) + body)
        await writer.drain()
