"""
Secrets never leave in text: what is learned here is replaced wherever text goes out.

`learn` is fed with the values of secret files, of variables whose name says so, and of
what a compose model holds; `clean` replaces them, also where they stand URL-, JSON- or
base64-encoded, or over several lines. A short or common value is replaced beside its
key only: "admin" as a password must not blank out every "admin" in a text.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote

MASK = "[redacted]"
LONGEST = 1 << 17
"""Characters of a line that are held back, in case that a secret begins in them."""
SHORTEST = 6
"""Characters of a value that is replaced wherever it stands."""

SECRET_NAME = re.compile(
    r"(?i)(pass(w(or)?d|phrase|wd)?|pwd|secret|token|api_?key|private_?key|access_?key"
    r"|credential|auth_?key|encryption_?key|(^|_)key|cookie|salt|dsn|webhook)s?($|_)"
)
_NO_SECRET = re.compile(
    r"(?i)_?(FILE|PATH|LOCATION|DIR|NAME|ID|TTL|LENGTH|EXPIRY)$|^(OLD)?PWD$"
)
"""Ends of names of what surrounds a secret, and the shell's current folders."""
_URL = re.compile(
    r"(?P<before>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)(?P<word>[^\s@/]+)(?=@)"
)
_ASSIGNED = re.compile(
    r"(?i)(?P<before>\b\w*(?:password|passwd|passphrase|secret|token|api_?key)\w*=)"
    r"(?P<word>\"[^\"]*\"|'[^']*'|[^\s\"'&]+)"
)
_FLAG = re.compile(
    r"(?i)(?P<before>--?(?:[a-z-]*(?:password|passwd|passphrase|secret|token|api-key))"
    r"(?:=|\s+))(?P<word>\"[^\"]*\"|'[^']*'|[^\s\"'-][^\s\"']*)"
)

_values: dict[str, set[str]] = {}
_common: set[str] = set()
_compiled: list[re.Pattern[str]] = []


def is_secret_name(name: str) -> bool:
    """
    Say whether a variable, label or file of this name holds a secret.

    >>> is_secret_name("POSTGRES_PASSWORD"), is_secret_name("POSTGRES_PASSWORD_FILE")
    (True, False)
    """
    return bool(SECRET_NAME.search(name)) and not _NO_SECRET.search(name)


def learn(value: str, *, key: str = "") -> None:
    """Replace *value* from now on; a short one only beside *key*."""
    for piece in {value, *value.splitlines(), *passwords_in(value)}:
        if piece.strip():
            _values.setdefault(piece.strip(), set()).add(key)
            _compiled.clear()


def learn_mapping(pairs: Mapping[str, object]) -> None:
    """Learn of variables those whose name or URL says that they are secret."""
    for name, value in pairs.items():
        text = "" if value is None else str(value)
        if is_secret_name(name) and not text.startswith("/run/secrets/"):
            learn(text, key=name)
        else:
            for word in passwords_in(text):
                learn(word, key=name)


def learn_file(text: str, *, key: str) -> None:
    """Learn what a secret file holds: the whole, its lines, and the words of a JSON."""
    learn(text, key=key)
    try:
        found = json.loads(text)
    except ValueError:
        return
    for word in _words(found):
        learn(word, key=key)


def spare(words: Iterable[str]) -> None:
    """Let *words*, such as the names of services, count as common ones."""
    _common.update(words)
    _compiled.clear()


def forget() -> None:
    """Forget everything that was learned."""
    for kept in (_values, _common, _compiled):
        kept.clear()


def clean(text: str) -> str:
    """
    Return *text* with `[redacted]` in place of every secret.

    >>> clean("redis://:hunter2hunter2@cache:6379")
    'redis://:[redacted]@cache:6379'
    """
    for pattern in (_URL, _ASSIGNED, _FLAG):
        text = pattern.sub(rf"\g<before>{MASK}", text)
    if not _compiled and _values:
        _compiled.extend(_patterns())
    for pattern in _compiled:
        text = pattern.sub(_masked, text)
    return text


def clean_tree(value: Any, key: str = "") -> Any:
    """
    Return what JSON can hold with `[redacted]` in place of every secret.

    *key* is the name that the value stands under.

    >>> clean_tree({"POSTGRES_PASSWORD": "abc", "ports": [5432]})
    {'POSTGRES_PASSWORD': '[redacted]', 'ports': [5432]}
    """
    if isinstance(value, Mapping):
        return {name: clean_tree(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [clean_tree(inner) for inner in value]
    if isinstance(value, str):
        is_secret = value and not value.startswith("/") and is_secret_name(key)
        return MASK if is_secret else clean(value)
    return value


def passwords_in(text: str) -> set[str]:
    """Return the passwords of the URLs in a text, as they stand and decoded."""
    found = {match["word"] for match in _URL.finditer(text)}
    return found | {unquote(word) for word in found}


class Stream:
    """Cleans text that arrives in pieces: a secret may be split between two of them."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, piece: str) -> str:
        """
        Return what can be printed by now: all but the last line that has no end.

        Of a line that is longer than any secret could be, the beginning is returned.
        """
        whole, newline, self._rest = (self._rest + piece).rpartition("\n")
        whole = clean(whole + newline)
        if len(self._rest) > 2 * LONGEST:
            rest = clean(self._rest)
            whole, self._rest = whole + rest[:-LONGEST], rest[-LONGEST:]
        return whole

    def end(self) -> str:
        """Return the rest."""
        rest, self._rest = self._rest, ""
        return clean(rest)


def _masked(match: re.Match[str]) -> str:
    return (match.groupdict().get("before") or "") + MASK


def _patterns() -> Iterator[re.Pattern[str]]:
    anywhere: set[str] = set()
    beside: list[str] = []
    for value, keys in _values.items():
        if len(value) >= SHORTEST and value not in _common:
            anywhere |= set(_encodings(value))
        else:
            beside += [
                rf"{re.escape(key)}[\"']?\s*[=:]\s*[\"']?{re.escape(value)}(?!\w)"
                for key in keys
                if key
            ]
    if anywhere:
        longest = sorted(anywhere, key=len, reverse=True)
        yield re.compile("|".join(map(re.escape, longest)))
    for line in beside:
        head, _, tail = line.rpartition("[\\\"']?")
        yield re.compile(rf"(?P<before>{head}[\"']?){tail}")


def _encodings(value: str) -> Iterator[str]:
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield quote(value, safe="")
    yield quote_plus(value)
    yield value.replace("$", "$$")
    yield value.replace("'", "'\"'\"'")
    data = value.encode()
    for shift in range(3):
        # The middle, which is the same whatever stands before and behind the value.
        coded = b64encode(b"\0" * shift + data).decode().rstrip("=")
        inner = coded[
            (0, 2, 3)[shift] : len(coded) - (1 if (shift + len(data)) % 3 else 0)
        ]
        if len(inner) >= SHORTEST:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")


def _words(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _words(one)
    elif isinstance(value, list):
        for one in value:
            yield from _words(one)
