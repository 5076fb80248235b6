"""PackStream, the encoding of Bolt messages (versions 1 and 2 agree on these types)."""

import struct
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Structure:
    """A tagged tuple: a message, or a value such as a node."""

    tag: int
    fields: tuple[Any, ...]


class PackError(ValueError):
    """Bytes that are no PackStream value, or a value it has no form for."""


_INTEGERS = ((0xC8, ">b"), (0xC9, ">h"), (0xCA, ">i"), (0xCB, ">q"))
_SIZED: dict[type, tuple[int, tuple[int, int, int]]] = {
    str: (0x80, (0xD0, 0xD1, 0xD2)),
    list: (0x90, (0xD4, 0xD5, 0xD6)),
    dict: (0xA0, (0xD8, 0xD9, 0xDA)),
}
_SIZE_FORMATS = (">B", ">H", ">I")
_SMALL = 16


def pack(value: Any) -> bytes:
    """Encode *value*; raises PackError for a type that Bolt does not carry."""
    match value:
        case None | bool():
            return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
        case int():
            return _pack_integer(value)
        case float():
            return b"\xc1" + struct.pack(">d", value)
    return _pack_sized(value)


def _pack_sized(value: Any) -> bytes:
    match value:
        case str():
            data = value.encode()
            return _head(str, len(data)) + data
        case list() | tuple():
            return _head(list, len(value)) + b"".join(map(pack, value))
        case dict():
            pairs = (pack(key) + pack(item) for key, item in value.items())
            return _head(dict, len(value)) + b"".join(pairs)
        case Structure(tag, fields):
            return bytes([0xB0 | len(fields), tag]) + b"".join(map(pack, fields))
    raise PackError(f"Bolt has no form for {type(value).__name__}")


def _pack_integer(value: int) -> bytes:
    if -_SMALL <= value < 128:  # noqa: PLR2004 - the range of one byte
        return struct.pack(">b", value)
    for marker, layout in _INTEGERS:
        bits = 8 * struct.calcsize(layout) - 1
        if -(1 << bits) <= value < 1 << bits:
            return bytes([marker]) + struct.pack(layout, value)
    raise PackError("Bolt integers have 64 bits")


def _head(kind: type, size: int) -> bytes:
    tiny, markers = _SIZED[kind]
    if size < _SMALL:
        return bytes([tiny | size])
    for marker, layout in zip(markers, _SIZE_FORMATS, strict=True):
        if size < 1 << (8 * struct.calcsize(layout)):
            return bytes([marker]) + struct.pack(layout, size)
    raise PackError("value too large for Bolt")


def unpack(data: bytes) -> Any:
    """Decode one value; raises PackError where *data* is not exactly one."""
    try:
        value, end = _take(data, 0)
    except (struct.error, IndexError, UnicodeDecodeError, RecursionError) as error:
        raise PackError(str(error)) from error
    if end != len(data):
        raise PackError(f"{len(data) - end} bytes after the value")
    return value


def _take(data: bytes, at: int) -> tuple[Any, int]:
    marker = data[at]
    at += 1
    constants = {0xC0: None, 0xC2: False, 0xC3: True}
    if marker in constants:
        return constants[marker], at
    if marker < 0x80 or marker >= 0xF0:  # noqa: PLR2004 - tiny integers
        return marker - 256 if marker >= 0xF0 else marker, at  # noqa: PLR2004
    if marker == 0xC1:  # noqa: PLR2004
        return struct.unpack_from(">d", data, at)[0], at + 8
    for known, layout in _INTEGERS:
        if marker == known:
            return struct.unpack_from(layout, data, at)[0], at + struct.calcsize(layout)
    if marker & 0xF0 == 0xB0:  # noqa: PLR2004 - structure
        fields, end = _take_items(data, at + 1, marker & 0x0F)
        return Structure(data[at], tuple(fields)), end
    return _take_sized(data, at, marker)


def _take_sized(data: bytes, at: int, marker: int) -> tuple[Any, int]:
    kind, size, at = _size(data, at, marker)
    if kind is str:
        end = at + size
        if end > len(data):
            raise PackError("text ends early")
        return data[at:end].decode(), end
    if kind is list:
        return _take_items(data, at, size)
    flat, end = _take_items(data, at, 2 * size)
    return dict(zip(flat[::2], flat[1::2], strict=True)), end


def _size(data: bytes, at: int, marker: int) -> tuple[type, int, int]:
    for kind, (tiny, markers) in _SIZED.items():
        if marker & 0xF0 == tiny:
            return kind, marker & 0x0F, at
        if marker in markers:
            layout = _SIZE_FORMATS[markers.index(marker)]
            size = struct.unpack_from(layout, data, at)[0]
            return kind, size, at + struct.calcsize(layout)
    raise PackError(f"unknown marker 0x{marker:02X}")


def _take_items(data: bytes, at: int, count: int) -> tuple[list[Any], int]:
    items = []
    for _ in range(count):
        item, at = _take(data, at)
        items.append(item)
    return items, at
