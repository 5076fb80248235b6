"""Variables in compose files: `$NAME`, `${NAME:-default}`; `$$` is a dollar."""

import re
from collections.abc import Iterator

_START = re.compile(r"\$(?:(\$)|\{(\w+)(:?[-+?])?|([A-Za-z_]\w*))")


def variables(text: str) -> Iterator[tuple[str, bool]]:
    """
    Yield each variable of a text and whether Compose does without it.

    A default, or a replacement for a set value, makes it optional; nested ones count.
    """
    for match in _START.finditer(text):
        escaped, name, operator, bare = match.groups()
        if not escaped:
            yield name or bare, bool(operator) and not operator.endswith("?")


def is_literal(text: str) -> bool:
    """Say whether a text holds no variable."""
    return not any(variables(text))
