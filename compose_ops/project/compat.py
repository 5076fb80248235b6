"""The names of the version before, which is still read."""

import tomllib
from functools import cache
from importlib.resources import files


@cache
def _names() -> dict[str, dict[str, str]]:
    return tomllib.loads((files("compose_ops") / "compat.toml").read_text("utf-8"))


def old_name(table: str, key: str) -> str:
    """
    Return what the version before called something, as compat.toml says.

    >>> old_name("state", "folder")
    '.state'
    """
    return _names()[table][key]
