"""What the query tools share: rows as JSON, limited; and a look at a query's words."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

from jimbot.mcp.calls import ToolError
from jimbot.mcp.jsonrpc import encode

MOST_ROWS, ROWS_BYTES = 1000, 256 * 1024
QUERY = {"type": "string", "minLength": 1, "maxLength": 20_000}
LIMIT = {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": 100}
OUTPUT = {
    "type": "object",
    "properties": {
        "columns": {"type": "array", "items": {"type": "string"}},
        "rows": {"type": "array", "items": {"type": "array"}},
        "truncated": {
            "type": "boolean",
            "description": "Whether there is more than the limit or 256 KiB.",
        },
    },
    "required": ["columns", "rows", "truncated"],
}
DEFAULT_LIMIT = 100


class Rows:
    """Rows up to a number of them, and of bytes."""

    def __init__(self, limit: int) -> None:
        """Take at most *limit* rows."""
        self._limit = limit
        self._bytes = 0
        self._rows: list[Sequence[Any]] = []
        self.truncated = False

    def take(self, row: Sequence[Any]) -> bool:
        """Return whether *row* was taken; where not, no further one is either."""
        if len(self._rows) < self._limit:
            converted = [plain(value) for value in row]
            self._bytes += len(encode(converted))
            if self._bytes <= ROWS_BYTES:
                self._rows.append(converted)
                return True
        self.truncated = True
        return False

    def result(self, columns: Sequence[str]) -> Mapping[str, Any]:
        """Return what `OUTPUT` describes."""
        return {
            "columns": list(columns),
            "rows": self._rows,
            "truncated": self.truncated,
        }


def plain(value: Any) -> Any:
    """Return *value* as JSON can hold it: times as ISO 8601, bytes in base64."""
    if value is None or isinstance(value, (bool, int, float, str)):
        is_number = not isinstance(value, float) or math.isfinite(value)
        return value if is_number else None
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    is_time = isinstance(value, (date, datetime, time))
    return value.isoformat() if is_time else str(value)


_WORDS = r"|(?P<word>[.:$]?[A-Za-z_]\w*)|(?P<sign>\S)"
_OPEN = r"""|(?P<open>['"`]|/\*)"""
CYPHER = re.compile(
    r"""(?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`)"""
    r"|(?P<comment>//[^\n]*|/\*.*?\*/)" + _OPEN + _WORDS,
    re.DOTALL,
)
SQL = re.compile(
    r"""(?P<quoted>'[^']*'|"[^"]*"|`[^`]*`)"""
    r"|(?P<comment>--[^\n]*|/\*.*?\*/)" + _OPEN + _WORDS,
    re.DOTALL,
)


def words(query: str, language: re.Pattern[str]) -> list[str]:
    """
    Return a query's words, in capitals, and its signs; neither quotes nor comments.

    A word after a dot, a colon or a dollar sign keeps that: it names something.
    Raises ToolError for a quote or a comment without an end.
    """
    parts = list(language.finditer(query))
    if any(part["open"] for part in parts):
        raise ToolError("a quote or a comment in the query has no end")
    return [part[0].upper() for part in parts if part["word"] or part["sign"]]
