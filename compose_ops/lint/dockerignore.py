"""Which files of a build context `.dockerignore` keeps out."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath


def is_ignored(name: str, lines: Sequence[str]) -> bool:
    """Say whether a file is kept out: the last line on it or a folder above counts."""
    ignored = False
    parents = [str(p) for p in PurePosixPath(name).parents if str(p) != "."]
    for line in lines:
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        wanted = not pattern.startswith("!")
        expression = translate(pattern.removeprefix("!"))
        if any(expression.fullmatch(one) for one in (name, *parents)):
            ignored = wanted
    return ignored


def translate(pattern: str) -> re.Pattern[str]:
    """Return a pattern of an ignore file as a regular expression."""
    plain = pattern.strip().lstrip("/").removeprefix("./").rstrip("/")
    parts: list[str] = []
    index = 0
    while index < len(plain):
        if plain[index : index + 3] == "**/":
            parts.append("(?:.*/)?")
            index += 3
        elif plain[index : index + 2] == "**":
            parts.append(".*")
            index += 2
        else:
            one = plain[index]
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(one, re.escape(one)))
            index += 1
    return re.compile("".join(parts))
