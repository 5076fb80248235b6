"""Variables in a Dockerfile, with the modifiers that BuildKit knows."""

import re
from collections.abc import Mapping
from fnmatch import translate

PLAIN = re.compile(r"\\(.)|\$(?:(\w+)|\{)", re.DOTALL)
INNER = re.compile(r"(\w+)(?:(:?[-+?]|##?|%%?|//?)(.*))?$", re.DOTALL)
MAX_DEPTH = 10


def fill(text: str, known: Mapping[str, str], depth: int = 0) -> str:
    """
    Fill `$NAME` and `${NAME…}` with the modifiers of BuildKit.

    `:-` and `:+` look at empty values too, `-` and `+` only at whether it is set; `#`,
    `%` take a pattern off, `/` replaces one. What nobody sets is empty.
    """
    found, index = "", 0
    while match := PLAIN.search(text, index):
        found += text[index : match.start()]
        if match[1] is not None:
            found, index = found + match[1], match.end()
        elif match[2] is not None:
            found, index = found + known.get(match[2], ""), match.end()
        else:
            index = _closing(text, match.end())
            inner = text[match.end() : index]
            found += _value(inner, known, depth)
            index += 1
    return found + text[index:]


def _closing(text: str, start: int) -> int:
    """Return where the brace that opened before *start* is closed."""
    open_braces = 1
    for index in range(start, len(text)):
        open_braces += {"{": 1, "}": -1}.get(text[index], 0)
        if not open_braces:
            return index
    return len(text)


def _value(inner: str, known: Mapping[str, str], depth: int) -> str:
    match = INNER.match(inner)
    if match is None or depth > MAX_DEPTH:
        return ""
    name, operator, word = match[1], match[2] or "", match[3] or ""
    current = known.get(name)
    there = bool(current) if operator.startswith(":") else current is not None
    if operator in {"-", ":-"}:
        return str(current) if there else fill(word, known, depth + 1)
    if operator in {"+", ":+"}:
        return fill(word, known, depth + 1) if there else ""
    text = current or ""
    if operator in {"#", "##", "%", "%%"}:
        return trimmed(text, fill(word, known, depth + 1), operator)
    if operator in {"/", "//"}:
        old, _, new = word.partition("/")
        pattern = re.compile(translate(fill(old, known, depth + 1))[4:-3] or "(?!)")
        count = 0 if operator == "//" else 1
        return pattern.sub(lambda _: fill(new, known, depth + 1), text, count=count)
    return text


def trimmed(text: str, pattern: str, operator: str) -> str:
    """Return a text without the prefix (`#`) or suffix (`%`) that a pattern fits."""
    whole = re.compile(translate(pattern))
    lengths = range(len(text) + 1)
    for length in reversed(lengths) if len(operator) > 1 else lengths:
        if operator[0] == "#" and whole.match(text[:length]):
            return text[length:]
        if operator[0] == "%" and whole.match(text[len(text) - length :]):
            return text[: len(text) - length]
    return text
