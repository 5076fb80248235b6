"""What becomes of each element of Compose's schema on Swarm: elements.toml, read."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

KEPT, TRANSLATED, DROPPED, REFUSED = "kept", "translated", "dropped", "refused"
UNKNOWN = "compose-ops does not know whether Swarm has it"


@dataclass(frozen=True, slots=True)
class Row:
    """What becomes of an element (`outcome`) and why, in words for a user."""

    outcome: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Elements:
    """
    The table by path, such as `services.*.networks.*.aliases`.

    `*` is a name that the user gives; items of a list have the path of the list.
    """

    rows: Mapping[str, Row]
    parents: frozenset[str]

    def row(self, path: str) -> Row:
        """
        Return the row of *path*, or of what is above it; what has none is refused.

        >>> load().row("services.*.deploy.resources.limits.memory").outcome
        'kept'
        """
        if path in self.rows:
            return self.rows[path]
        above = path.rpartition(".")[0]
        while above and above not in self.rows:
            above = above.rpartition(".")[0]
        found = self.rows.get(above, Row(REFUSED, UNKNOWN))
        is_divided = found.outcome == KEPT and above in self.parents
        return Row(REFUSED, UNKNOWN) if is_divided else found

    def below(self, path: str, key: str) -> str:
        """Return the path of *key* in the mapping at *path*."""
        named = f"{path}.{key}" if path else key
        is_known = named in self.rows or named in self.parents
        return named if is_known or f"{path}.*" not in self.parents else f"{path}.*"


@cache
def load() -> Elements:
    """Return the table of the package."""
    data = tomllib.loads((files(__package__) / "elements.toml").read_text("utf-8"))
    rows = {path: Row(KEPT) for path in data[KEPT]}
    for outcome in (TRANSLATED, DROPPED, REFUSED):
        rows |= {path: Row(outcome, text) for path, text in data[outcome].items()}
    parents = {
        path[:at] for path in rows for at, letter in enumerate(path) if letter == "."
    }
    return Elements(rows, frozenset(parents))
