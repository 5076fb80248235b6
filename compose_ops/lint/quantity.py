"""Sizes and durations as Compose writes them."""

import re

_SIZE = re.compile(r"([0-9.]+)\s*([kmgtp]?)i?b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_PART = re.compile(r"([0-9.]+)(h|ms|us|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}


def size(value: object) -> int:
    """Return bytes for `12G`, `512mb` or a number; 0 for what is no size."""
    match = _SIZE.fullmatch(str(value if value is not None else "").strip())
    if match is None:
        return 0
    return int(float(match[1]) * 1024 ** _POWERS[match[2].lower()])


def shown(number: int) -> str:
    """Return bytes as people write them: `12G`, `512M`."""
    for power, letter in ((3, "G"), (2, "M"), (1, "K")):
        if number >= 1024**power:
            return f"{number / 1024**power:.3g}{letter}"
    return f"{number}B"


def seconds(value: object, default: float = 0.0) -> float:
    """Return seconds for `1m30s` or `40s`; the default for what is no duration."""
    parts = _PART.findall(str(value if value is not None else ""))
    if not parts:
        return default
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)
