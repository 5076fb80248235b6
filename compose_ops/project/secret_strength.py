"""When a secret is none: a placeholder, or a value that is easy to guess."""

from compose_ops.project.env_file import PLACEHOLDER

REAL_VALUE = "THE-REAL-VALUE"
"""Stands in a repair for what only the user knows; left as it is, it is none."""

PLACEHOLDERS = frozenset(
    {PLACEHOLDER, "changeme", "todo", "xxx", "your-api-key", REAL_VALUE.lower()}
)
SECRET_WORDS = ("KEY", "PASSWORD", "SECRET", "TOKEN")
LEAST_LETTERS = 12
LEAST_KINDS = 5
COMMON = frozenset({"password", "quest", "admin", "secret", "memgraph"})


def is_secret(name: str) -> bool:
    return any(word in name for word in SECRET_WORDS)


def is_placeholder(value: str) -> bool:
    return value.strip().lower() in PLACEHOLDERS | {""}


def is_weak(text: str) -> bool:
    common = (
        any(word in text.lower() for word in COMMON) and len(text) < 2 * LEAST_LETTERS
    )
    return len(text) < LEAST_LETTERS or len(set(text)) < LEAST_KINDS or common
