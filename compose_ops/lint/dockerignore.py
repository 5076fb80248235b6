"""Which files of a build context `.dockerignore` keeps out."""

import posixpath
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import PurePosixPath


def is_ignored(name: str, lines: Sequence[str]) -> bool:
    """Say whether a file is kept out: the last line on it or a folder above counts."""
    ignored = False
    parents = [str(p) for p in PurePosixPath(name).parents if str(p) != "."]
    for line in lines:
        if line.startswith("#") or not line.strip():
            continue
        pattern = line.strip()
        wanted = not pattern.startswith("!")
        expression = translate(pattern.removeprefix("!").strip())
        if any(expression.fullmatch(one) for one in (name, *parents)):
            ignored = wanted
    return ignored


@lru_cache(maxsize=4096)
def translate(pattern: str) -> re.Pattern[str]:
    """Return a pattern of an ignore file, or of COPY, as a regular expression."""
    plain = posixpath.normpath(pattern).lstrip("/") if pattern else ""
    parts: list[str] = []
    index = 0
    while index < len(plain):
        one = plain[index]
        if plain[index : index + 3] == "**/":
            parts.append("(?:.*/)?")
            index += 3
        elif plain[index : index + 2] == "**":
            parts.append(".*")
            index += 2
        elif one == "[" and (end := plain.find("]", index + 2)) > 0:
            inside = plain[index + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            parts.append(f"(?!/)[{inside}]")
            index = end + 1
        elif one == "\\" and index + 1 < len(plain):
            parts.append(re.escape(plain[index + 1]))
            index += 2
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(one, re.escape(one)))
            index += 1
    try:
        return re.compile("".join(parts))
    except re.error:
        return re.compile(re.escape(plain))


def has_wildcard(source: str) -> bool:
    """Say whether BuildKit takes a source of COPY as a pattern."""
    return bool(re.search(r"[*?\[]", source))
