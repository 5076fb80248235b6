"""Bolt on the wire: the handshake's versions, and messages in chunks."""

import asyncio
import struct

from memgraph_standin.packstream import PackError, Structure, pack, unpack

MAGIC = b"\x60\x60\xb0\x17"
_VERSIONS = ((5, 2), (5, 1), (5, 0), (4, 4), (4, 3))
_CHUNK_MAX = 0xFFFF
_MESSAGE_MAX = 16 * 1024 * 1024


def choose_version(proposals: bytes) -> tuple[int, int] | None:
    """Return the newest version that one of the four *proposals* includes."""
    for at in range(0, 16, 4):
        _, reach, minor, major = proposals[at : at + 4]
        for version in _VERSIONS:
            if version[0] == major and minor - reach <= version[1] <= minor:
                return version
    return None


def encode(message: Structure) -> bytes:
    """Return the message in chunks, with the end mark."""
    data = pack(message)
    parts = []
    for at in range(0, len(data), _CHUNK_MAX):
        chunk = data[at : at + _CHUNK_MAX]
        parts.append(struct.pack(">H", len(chunk)) + chunk)
    return b"".join(parts) + b"\0\0"


async def read_message(reader: asyncio.StreamReader) -> Structure:
    """
    Return the next message, skipping keep-alive chunks.

    Raises PackError where it is none, asyncio.IncompleteReadError at the end.
    """
    data = bytearray()
    while True:
        (size,) = struct.unpack(">H", await reader.readexactly(2))
        if size == 0 and data:
            message = unpack(bytes(data))
            if isinstance(message, Structure):
                return message
            raise PackError
        data += await reader.readexactly(size)
        if len(data) > _MESSAGE_MAX:
            raise PackError
