"""
Secrets never leave in text: what is learned here is replaced wherever text goes out.

`learn` is fed with the values of secret files, of variables whose name says so, and of
what a compose model holds; `clean` replaces them, also where they stand URL-, JSON-,
HTML- or base64-encoded, or over several lines. Clean a text before it is cut, folded or
quoted: a part of a secret is not found. A short or common value is replaced beside its
key only: "admin" as a password must not blank out every "admin" in a text.
"""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from html import escape
from itertools import product
from typing import Any
from urllib.parse import quote, quote_plus, unquote

MASK = "[redacted]"
LONGEST = 1 << 17
"""Characters of a line that are held back, in case that a secret begins in them."""
SHORTEST = 6
"""Characters of a value that is replaced wherever it stands."""

SECRET_NAME = re.compile(
    r"(?i)(pass(w(or)?d|phrase|wd)?|pwd|secret|token|api_?key|private_?key|access_?key"
    r"|credential|auth_?key|encryption_?key|(^|_)key|cookie|salt|dsn|webhook)s?\d*($|_)"
    r"|(^|_)(auth|authorization|jwt)\d*$"
)
_NO_SECRET = re.compile(r"(?i)_?(FILE|PATH|LOCATION|DIR|NAME|ID|TTL|LENGTH|EXPIRY)$")
"""Ends of names of what surrounds a secret."""
_PARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_FOLDER_NAME = re.compile(r"(?i)(OLD)?PWD")
_FOLDER = r"[/~]|[A-Za-z]:[\\/]"
"""How the value of the shell's PWD begins, which is no password."""
_LOGIN_NAME = re.compile(r"(?i)(^|_)auth(orization)?\d*$")
_SWITCH = (
    r"(?:true|false|yes|no|on|off|none|null|basic|plain|login|ok|failed|failure|success"
    r"|enabled|disabled|required|optional|\d)"
)
"""What a name such as SMTP_AUTH may have without a secret."""

# A word in quotes, also in those within a JSON text; without an end they hold a line.
_WORD = (
    r"(?P<word>\\\"[^\"\\]*(?:\\[^\"][^\"\\]*)*\\\"|\"(?:[^\"\\]|\\.)*\"|'[^']*'"
    r"|\\?[\"'][^\n]+|(?:[^\s\"'&\\]|\\[^\s\"'])+)"
)
_NAMED = r"password|passwd|passphrase|secret|token|api_?key"
_SCHEME = r"(?i)(?P<before>\b[a-z][a-z0-9+.-]{0,30}://"
_OPTIONS = r"\s(?:[^\n;|&]{0,300}?\s)?"

_URL = re.compile(
    rf"{_SCHEME}[^\s:/@\[]{{0,256}}:)(?!//|\d{{1,5}}[/?#])"
    r"(?P<word>[^\s@][^\s@/]*(?:[@/](?:(?!://)[^\s\"'<>,])*)?)(?<!/)(?=@)"
)
_ASSIGNED = re.compile(rf"(?i)(?P<before>\b\w{{0,64}}(?:{_NAMED})\w{{0,64}}=){_WORD}")
_FLAG = re.compile(
    r"(?i)(?P<before>--?(?:[a-z-]{0,64}(?:password|passwd|passphrase|secret|token"
    r"|api-key|requirepass|masterauth|-pass))(?:=|\s+))"
    r"(?P<word>\"[^\"]*\"|'[^']*'|[^\s\"'-][^\s\"']*)"
)
_SHAPES = (
    _URL,
    # A token in the place of the user.
    re.compile(
        r"(?i)(?P<before>\bhttps?://)(?P<word>(?=[^@:/]*\d)[\w.~%+-]{16,256})"
        r"(?=(?::[^\s@/]{0,256})?@)"
    ),
    _ASSIGNED,
    re.compile(
        r"(?i)(?P<before>\b(?:\w{0,64}_)?(?:pass|auth|authorization|jwt)=)"
        rf"(?!{_SWITCH}(?!\w)){_WORD}"
    ),
    re.compile(
        rf"(?i)(?P<before>\b\w{{0,64}}pwd=)(?!{_FOLDER})(?P<word>[^\s\"'&;\\]+)"
    ),
    _FLAG,
    re.compile(
        r"(?i)(?P<before>\bauthorization\\?[\"']?\s{0,9}[:=]\s{0,9}\\?[\"']?"
        r"(?:bearer|basic|token)\s+)(?P<word>[^\s\"',\\]+)"
    ),
    # Options of one letter mean a password to these programs only.
    re.compile(
        rf"(?P<before>\b(?:(?:redis|valkey|keydb)-(?:cli|benchmark){_OPTIONS}-a\s+"
        rf"|(?:mysql|mariadb)(?:-?(?:admin|check|dump|import|show))?{_OPTIONS}-p"
        rf"|(?:mongo(?:sh|dump|restore|export|import)?|cypher-shell){_OPTIONS}-p\s+"
        rf"|docker\s+login{_OPTIONS}-p\s+|sshpass\s+-p\s*|sqlcmd{_OPTIONS}-P\s+"
        rf"|curl{_OPTIONS}(?:-[uU]\s*|--(?:proxy-)?user[=\s]\s*)[\"']?"
        r"[^\s:\"']{1,128}:))(?![\"']?[$`])(?P<word>\"[^\"]*\"|'[^']*'|[^\s\"';|&\\]+)"
    ),
)
"""Secrets that show by where they stand."""

_SETTING = re.compile(
    r"(?m)^[ \t]*(?:export[ \t]+|-[ \t]+)?[\"']?([\w.-]{1,128})[\"']?"
    r"(?:[ \t]*[:=][ \t]*|(?<=requirepass)[ \t]+|(?<=masterauth)[ \t]+)"
    r"(\S[^\n]*)$"
)
"""A line of a dotenv, ini, YAML or properties file, or of Redis'."""
_LOGINS = (
    re.compile(r"(?m)^(?:[^:\\\s]|\\.)+:(?:\d+|\*):(?:[^:\n]+):(?:[^:\n]+):(\S+)$"),
    re.compile(r"(?m)^[^\s:#]+:(?!//)(\S+)$"),
)
"""Lines of a pgpass and of a htpasswd file."""
_RANDOM = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[^\s./:@]{12,}")
_BROKEN_LINES = re.compile(
    r"(?<![\w+/-])(?:[A-Za-z0-9+/_-]{40,}+\r?\n)+[A-Za-z0-9+/_-]+"
)
_ESCAPE = re.compile("%[0-9A-F]{2}")
_GO_JSON = str.maketrans({"&": r"\u0026", "<": r"\u003c", ">": r"\u003e"})
MOST_FORMS = 1024
"""Characters of a value that is known in every encoding."""

_values: dict[str, set[str]] = {}
_common: set[str] = set()
_compiled: list[re.Pattern[str]] = []


def is_secret_name(name: str) -> bool:
    """
    Say whether a variable, label or file of this name holds a secret.

    >>> is_secret_name("POSTGRES_PASSWORD"), is_secret_name("POSTGRES_PASSWORD_FILE")
    (True, False)
    """
    parts = _PARTS.sub("_", name.strip("-"))
    return bool(SECRET_NAME.search(parts)) and not (
        _NO_SECRET.search(parts) or _FOLDER_NAME.fullmatch(name)
    )


def _is_secret(name: str, value: str) -> bool:
    """Say whether this is a secret: the shell's PWD is none, `Pwd=hush` is one."""
    if _FOLDER_NAME.fullmatch(name):
        return bool(value) and not re.match(_FOLDER, value)
    return is_secret_name(name) and not re.fullmatch(_SWITCH, value, re.IGNORECASE)


def learn(value: str, *, key: str = "") -> None:
    """Replace *value* from now on; a short one only beside *key*."""
    for piece in {value, *value.splitlines(), *words_in(value)}:
        if piece.strip():
            _values.setdefault(piece.strip(), set()).add(key)
            _compiled.clear()


def learn_mapping(pairs: Mapping[str, object]) -> None:
    """Learn of variables those whose name or URL says that they are secret."""
    for name, value in pairs.items():
        text = "" if value is None else str(value)
        if _is_secret(name, text) and not text.startswith("/run/secrets/"):
            learn(text, key=name)
            for word in _login_words(text) if _LOGIN_NAME.search(name) else ():
                learn(word, key=name)
        else:
            for word in words_in(text):
                learn(word, key=name)
            learn_settings(text)


def learn_settings(text: str, *, all_random: bool = False) -> None:
    """
    Learn of lines such as `password: x` and `PASSWORD=x` what their names call secret.

    With *all_random* also what looks random, whatever its name.
    """
    for name, found in _SETTING.findall(text):
        value = _unquoted(found.partition(" #")[0].strip().rstrip(",;"))
        is_secret = _is_secret(name, value) or (all_random and _RANDOM.fullmatch(value))
        if is_secret and _is_literal(value):
            learn(value, key=name)


def learn_file(text: str, *, key: str) -> None:
    """Learn what a secret file holds: the whole, its lines, and the values in them."""
    learn(text, key=key)
    learn_settings(text, all_random=True)
    for pattern in _LOGINS:
        for word in pattern.findall(text):
            learn(word, key=key)
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
    for pattern in _SHAPES:
        text = pattern.sub(rf"\g<before>{MASK}", text)
    if not _compiled and _values:
        _compiled.extend(_patterns())
    text = _without_learned(text)
    return _BROKEN_LINES.sub(_mended, text) if _compiled else text


def _without_learned(text: str) -> str:
    for pattern in _compiled:
        text = pattern.sub(_masked, text)
    return text


def _mended(match: re.Match[str]) -> str:
    """Return base64 without its line breaks where a secret goes across one."""
    whole = "".join(match[0].split())
    cleaned = _without_learned(whole)
    return match[0] if cleaned == whole else cleaned


def clean_tree(value: Any, key: str = "") -> Any:
    """
    Return what JSON can hold with `[redacted]` in place of every secret.

    *key* is the name that the value stands under.

    >>> clean_tree({"POSTGRES_PASSWORD": "abc", "ports": [5432]})
    {'POSTGRES_PASSWORD': '[redacted]', 'ports': [5432]}
    """
    if isinstance(value, Mapping):
        return {
            clean(name) if isinstance(name, str) else name: clean_tree(inner, str(name))
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        if all(isinstance(inner, str) for inner in value):
            return _clean_command(value)
        return [clean_tree(inner) for inner in value]
    if isinstance(value, str):
        is_secret = value and not value.startswith("/") and _is_secret(key, value)
        return MASK if is_secret or _stands_beside(key, value) else clean(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = str(value)
        return MASK if _stands_beside(key, text) or clean(text) != text else value
    return value


def json_text(value: Any, *, indent: int | None = 2, ensure_ascii: bool = True) -> str:
    r"""
    Return a value as JSON with `[redacted]` in place of every secret.

    The values are cleaned before they are quoted: a quote of JSON ends no secret.

    >>> json_text({"said": 'token="abc"'})
    '{\n  "said": "token=[redacted]"\n}'
    """
    tree = clean_tree(value)
    text = json.dumps(
        tree,
        indent=indent,
        ensure_ascii=ensure_ascii,
        default=lambda other: clean(str(other)),
    )
    return text.replace("\x7f", "\\u007f")


def _stands_beside(key: str, value: str) -> bool:
    """Say whether this is a value that was learned with this key."""
    return bool(key) and key in _values.get(value.strip(), ())


def passwords_in(text: str) -> set[str]:
    """Return the passwords of the URLs in a text, as they stand and decoded."""
    found = {match["word"] for match in _URL.finditer(text)}
    found |= {word.partition("@")[0] for word in found}
    return found | {unquote(word) for word in found}


def words_in(text: str) -> set[str]:
    """Return the secrets of a text that show by where they stand."""
    found = passwords_in(text)
    for pattern in _SHAPES:
        if pattern is _URL:
            continue
        for match in pattern.finditer(text):
            word = _unquoted(match["word"])
            if _is_literal(word):
                found |= {word, word.partition(";")[0]}
    return found - {""}


def _unquoted(word: str) -> str:
    """Return a word without its quotes."""
    word = word.removeprefix("\\")
    if word[:1] in {'"', "'"}:
        quote_ = word[0]
        word = word[1:].removesuffix(quote_).removesuffix("\\")
    return word


def _is_literal(word: str) -> bool:
    """Say whether a word is a value: no variable, no path, no switch."""
    return not re.match(
        rf"[$`/]|\./|{re.escape(MASK)}|{_SWITCH}?$", word, re.IGNORECASE
    )


def _login_words(text: str) -> Iterator[str]:
    """Yield the password of `user:password`, `user/password` and of a header."""
    scheme, _, given = text.partition(" ")
    if given:
        yield given
    if scheme.lower() == "basic":
        with suppress(ValueError):
            text = b64decode(given).decode()
    for mark in ":/":
        _, _, password = text.partition(mark)
        if password and not password.startswith("/"):
            yield password


def _clean_command(words: Sequence[str]) -> list[str]:
    """Clean words that may be those of one command, whose options are words too."""
    found = words_in(" ".join(words))
    return [_clean_word(clean(word), found) for word in words]


def _clean_word(word: str, secrets: set[str]) -> str:
    for secret in secrets:
        head = word.removesuffix(secret)
        if head != word and (not head or head[0] == "-" or head[-1] in "=:"):
            return head + MASK
    return word


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
    yield value.replace("$", "$$")
    yield value.replace("'", "'\"'\"'")
    for text in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
        yield text
        if len(value) <= MOST_FORMS:
            # As Go and PHP write JSON.
            yield text.translate(_GO_JSON)
            yield text.replace("/", "\\/")
    for safe in ("", "/", "!~*'()"):
        yield from _in_both_cases(quote(value, safe=safe))
    yield from _in_both_cases(quote_plus(value))
    if len(value) <= MOST_FORMS:
        text = escape(value, quote=False)
        yield text
        for double, single in product(("&quot;", "&#34;"), ("&#x27;", "&#39;", "'")):
            yield text.replace('"', double).replace("'", single)
    for inner in _base64(value):
        yield inner
        yield inner.replace("+", "-").replace("/", "_")


def _in_both_cases(text: str) -> Iterator[str]:
    yield text
    yield _ESCAPE.sub(lambda code: code[0].lower(), text)


def _base64(value: str) -> Iterator[str]:
    data = value.encode()
    for shift in range(3):
        # The middle, which is the same whatever stands before and behind the value.
        coded = b64encode(b"\0" * shift + data).decode().rstrip("=")
        inner = coded[
            (0, 2, 3)[shift] : len(coded) - (1 if (shift + len(data)) % 3 else 0)
        ]
        if len(inner) >= SHORTEST:
            yield inner


def _words(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _words(one)
    elif isinstance(value, list):
        for one in value:
            yield from _words(one)
