"""Parameters of the PostgreSQL wire: their types by number, as text or binary."""

import struct
from datetime import UTC, datetime, timedelta
from typing import Any

OIDS = {
    "BOOLEAN": 16,
    "LONG": 20,
    "SHORT": 21,
    "BYTE": 21,
    "INT": 23,
    "FLOAT": 700,
    "DOUBLE": 701,
    "STRING": 1043,
    "SYMBOL": 1043,
    "TIMESTAMP": 1114,
    "DATE": 1114,
}
_INTEGERS = {20: ">q", 21: ">h", 23: ">i"}
_FLOATS = {700: ">f", 701: ">d"}
_BOOLEAN = 16
_TIMES = (1114, 1184)
_PG_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def decode_parameter(data: bytes | None, *, oid: int, binary: bool) -> Any:
    """Return the value of a bound parameter. Raises struct.error or ValueError."""
    if data is None:
        return None
    return _binary(data, oid) if binary else _text(data.decode(), oid)


def _binary(data: bytes, oid: int) -> Any:
    if oid in _INTEGERS | _FLOATS:
        return struct.unpack((_INTEGERS | _FLOATS)[oid], data)[0]
    if oid == _BOOLEAN:
        return data == b"\1"
    if oid in _TIMES:
        (microseconds,) = struct.unpack(">q", data)
        return (_PG_EPOCH + timedelta(microseconds=microseconds)).isoformat()
    return data.decode()


def _text(text: str, oid: int) -> Any:
    if oid in _INTEGERS:
        return int(text)
    if oid in _FLOATS:
        return float(text)
    return text in ("t", "true") if oid == _BOOLEAN else text
