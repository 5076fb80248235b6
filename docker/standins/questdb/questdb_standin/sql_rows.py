"""The rows of an INSERT: literals, `now()`, and the parameters `$1`, `$2` and so on."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from questdb_standin.values import Default


class SqlError(Exception):
    """A statement that fails, and where (characters from its start)."""

    def __init__(self, text: str, position: int = 0) -> None:
        super().__init__(text)
        self.position = position


_LITERAL = re.compile(
    r"""\s*(?:'(?P<text>(?:[^']|'')*)'|(?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)L?"""
    r"""|\$(?P<parameter>\d+)(?:::\w+)?|(?P<word>\w+)(?:\(\))?)\s*(?P<sign>[,)])""",
    re.IGNORECASE,
)
_WORDS = {"true": True, "false": False, "null": None, "nan": None}


def read_rows(text: str, parameters: Sequence[Any]) -> list[list[Any]]:
    """Read `(…), (…)`. Raises SqlError."""
    rows = []
    at = 0
    while at < len(text):
        row, at = _values(text, text.index("(", at) + 1, parameters)
        rows.append(row)
        if text[at:].strip() and not text[at:].lstrip().startswith(","):
            raise SqlError("',' expected between rows", at)
    return rows


def _values(text: str, at: int, parameters: Sequence[Any]) -> tuple[list[Any], int]:
    row = []
    while True:
        match = _LITERAL.match(text, at)
        if match is None:
            raise SqlError(f"literal expected: {text[at:]}", at)
        row.append(_value(match, parameters))
        at = match.end()
        if match["sign"] == ")":
            return row, at


def _value(match: re.Match[str], parameters: Sequence[Any]) -> Any:
    if match["text"] is not None:
        return match["text"].replace("''", "'")
    if (number := match["number"]) is not None:
        return int(number) if re.fullmatch(r"-?\d+", number) else float(number)
    if (place := match["parameter"]) is not None:
        if not 1 <= int(place) <= len(parameters):
            raise SqlError(f"undefined bind variable: ${place}")
        return parameters[int(place) - 1]
    word = match["word"].lower()
    if word in ("now", "systimestamp"):
        return Default(datetime.now(tz=UTC))
    if word not in _WORDS:
        raise SqlError(f"Invalid column: {match['word']}")
    return _WORDS[word]
