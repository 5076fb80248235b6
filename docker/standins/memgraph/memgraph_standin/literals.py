"""Map literals of Cypher: `{name: 'x', size: 3, all: $all}`."""

import re
from typing import Any


class LiteralError(ValueError):
    """Text that is no map of literals, or a parameter that was not given."""


_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"""|(?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"""
    r"""|(?P<parameter>\$\w+)|(?P<word>\w+|`[^`]+`)|(?P<sign>[{}\[\],:]))"""
)
_WORDS = {"true": True, "false": False, "null": None}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def read_map(text: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """
    Return the map that *text* writes, or the parameter `$name` that holds one.

    Raises LiteralError.
    """
    tokens = _tokens(text)
    value = _read_value(tokens, parameters)
    if tokens or not isinstance(value, dict):
        raise LiteralError(f"not a map of literals: {text}")
    return value


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise LiteralError(f"not a literal: {text[at:]}")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found[::-1]


def _read_value(tokens: list[tuple[str, str]], parameters: dict[str, Any]) -> Any:
    kind, text = _next(tokens)
    match kind, text:
        case "sign", "{":
            return _read_pairs(tokens, parameters)
        case "sign", "[":
            return _read_list(tokens, parameters)
        case "number", _:
            return int(text) if re.fullmatch(r"-?\d+", text) else float(text)
        case "text", _:
            return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), text[1:-1])
        case "parameter", _ if text[1:] in parameters:
            return parameters[text[1:]]
        case "parameter", _:
            raise LiteralError(f"Parameter {text} not provided.")
        case "word", _ if text.lower() in _WORDS:
            return _WORDS[text.lower()]
    raise LiteralError(f"not a literal: {text}")


def _read_pairs(
    tokens: list[tuple[str, str]], parameters: dict[str, Any]
) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    while not _closes(tokens, "}", first=not pairs):
        _, name = _next(tokens)
        _expect(tokens, ":")
        pairs[name.strip("`")] = _read_value(tokens, parameters)
    return pairs


def _read_list(tokens: list[tuple[str, str]], parameters: dict[str, Any]) -> list[Any]:
    items: list[Any] = []
    while not _closes(tokens, "]", first=not items):
        items.append(_read_value(tokens, parameters))
    return items


def _closes(tokens: list[tuple[str, str]], sign: str, *, first: bool) -> bool:
    if tokens and tokens[-1] == ("sign", sign):
        tokens.pop()
        return True
    if not first:
        _expect(tokens, ",")
    return False


def _expect(tokens: list[tuple[str, str]], sign: str) -> None:
    _, text = _next(tokens)
    if text != sign:
        raise LiteralError(f"expected {sign} before {text}")


def _next(tokens: list[tuple[str, str]]) -> tuple[str, str]:
    if not tokens:
        raise LiteralError("the literal ends early")
    return tokens.pop()
