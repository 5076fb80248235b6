"""Values of columns: what is stored, and how JSON and the PostgreSQL wire show it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

_INTEGERS = ("BYTE", "SHORT", "INT", "LONG")
_FLOATS = ("FLOAT", "DOUBLE")
_TIMES = ("TIMESTAMP", "DATE")
_TEXTS = ("STRING", "SYMBOL", "VARCHAR", "UUID", "CHAR", "IPV4", "LONG256")
KINDS = (*_INTEGERS, *_FLOATS, *_TIMES, *_TEXTS, "BOOLEAN")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ValueMismatchError(Exception):
    """A value that its column cannot hold; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Default:
    """The moment of `now()` in a statement."""

    moment: datetime


def convert(value: Any, kind: str) -> Any:
    """
    Return the stored form (JSON types; a time is `2024-01-31T12:00:00.000000Z`).

    Raises ValueMismatchError.
    """
    if value is None:
        return None
    if isinstance(value, Default) and kind not in _TIMES:
        value = _time(value)
    try:
        if kind in _INTEGERS:
            return int(value)
        if kind in _FLOATS:
            return float(value)
        if kind in _TIMES:
            return _time(value)
        if kind == "BOOLEAN":
            return value if isinstance(value, bool) else str(value).lower() == "true"
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueMismatchError(
            f"inconvertible value: `{value}` [-> {kind}]"
        ) from error
    return str(value)


def _time(value: Any) -> str:
    if isinstance(value, Default):
        moment = value.moment
    elif isinstance(value, int) or str(value).isdecimal():
        moment = _EPOCH + timedelta(microseconds=int(value))
    else:
        moment = datetime.fromisoformat(str(value))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    moment = moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def wire_text(value: Any, kind: str) -> bytes | None:
    """Return the value as text of the PostgreSQL wire."""
    if value is None:
        return None
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if kind in _TIMES:
        return str(value).replace("T", " ").removesuffix("Z").encode()
    return str(value).encode()
