"""Durations and sizes as Compose writes them."""

import re
from datetime import datetime

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|h|m|s)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_WHOLE = re.compile(r"[0-9]{1,18}")
_STEP = 1024


def seconds(text: str | None, default: float = 0.0) -> float:
    """Return a Compose duration such as 1m30s in seconds."""
    if not text:
        return default
    return sum(float(n) * _SECONDS[unit] for n, unit in _DURATION.findall(text))


def whole(text: str) -> int | None:
    """
    Return the number that a text of digits is, None for any other text.

    Python's own tests take digits of every alphabet, and too many of them.
    """
    return int(text) if _WHOLE.fullmatch(text) else None


def readable_size(size: float) -> str:
    """Return bytes as people write them, in steps of 1024."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < _STEP:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= _STEP
    return f"{size:.1f} TiB"


def readable_duration(span: float) -> str:
    """Return seconds as people write them, two units at most."""
    whole = int(span)
    for unit, length, smaller, part in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "m", 60),
        ("m", 60, "s", 1),
    ):
        if whole >= length:
            return f"{whole // length}{unit} {whole % length // part}{smaller}"
    return f"{whole}s"


def parse_time(text: str) -> float | None:
    """Return an engine's time in seconds since the epoch, None when it says none."""
    found = re.fullmatch(r"(.*?)(\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    if found is None:
        return None
    whole = datetime.fromisoformat(found[1] + found[3])
    return whole.timestamp() + float(found[2] or 0)
