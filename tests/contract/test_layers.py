"""Imports of the library go one way, and each outside package has one room."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from repository import ROOT

PACKAGE = ROOT / "compose_ops"
HELPER_IMAGE = PACKAGE / "backup" / "helper_image"
FILES = sorted(p for p in PACKAGE.rglob("*.py") if HELPER_IMAGE not in p.parents)

# From the top down; a module imports from its own room and from those below it. Rooms
# that share a line do not know each other.
ORDER = (
    {"__main__", "nox", "tasks"},
    {"cli"},
    {"library"},
    {"report"},
    {"composition"},
    {"backup", "doctor", "gpu", "notify", "rollout", "schedule", "stack", "swarm"},
    {"lint"},
    {"runtime"},
    {"state"},
    {"config"},
    {"products", "project"},
    {"interrupts"},
    {"console"},
    {"docker"},
    {"verdicts", "units", "errors"},
    {"plain_text", "redaction"},
)

# Who imports upwards or sideways although it should not, until it is mended.
DEBTS: set[tuple[str, str]] = set()

CIRCLES: set[str] = set()

ONLY = {
    "python_on_whales": "docker",
    "dotenv": "project",
    "invoke": "cli",
    "rich": "console",
    "nox": "nox",
    "apprise": "notify",
    "prometheus_client": "notify",
}


def module(path: Path) -> str:
    """Return a file's dotted name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in FILES}


def room(name: str) -> str:
    """Return the room of a module: the part behind the package's own name."""
    return [*name.split("."), ""][1]


def imports(path: Path) -> Iterator[str]:
    """Yield what a file imports: at its top, inside functions, or named as text."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"^compose_ops(?:\.\w+)+$", node.value)


def graph() -> Mapping[str, set[str]]:
    """
    Return which modules of the library each of them imports.

    The package itself is a door that loads nothing until a name is asked of it.
    """
    return {
        name: {used for used in imports(path) if used in MODULES}
        - {name, "compose_ops"}
        for name, path in MODULES.items()
    }


def rank(name: str) -> int:
    return next(i for i, rooms in enumerate(ORDER) if room(name) in rooms)


def test_every_room_has_its_place_in_the_order() -> None:
    rooms = {room(name) for name in MODULES} - {""}

    assert rooms <= set().union(*ORDER)


def test_modules_import_only_downwards() -> None:
    """Operations do not know each other; what they share lies below them."""
    wrong = {
        (name, used)
        for name, all_used in graph().items()
        for used in all_used
        if room(name) and room(used) and room(name) != room(used)
        if rank(used) <= rank(name)
    }

    assert wrong - DEBTS == set()
    assert DEBTS - wrong == set(), "these are mended: take them off the list"


def test_no_modules_import_each_other_in_a_circle() -> None:
    found = graph()
    reach: dict[str, set[str]] = {}
    for name in found:
        seen: set[str] = set()
        waiting = list(found[name])
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                waiting += found[one]
        reach[name] = seen

    assert {name for name, seen in reach.items() if name in seen} == CIRCLES


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_each_outside_package_has_one_room(path: Path) -> None:
    """Each of these packages is known in one place only."""
    outside = {name.split(".")[0] for name in imports(path)}

    assert {
        n for n in outside if room(module(path)) != ONLY.get(n, room(module(path)))
    } == set()


@pytest.mark.parametrize("folder", ["secrets", "docker", "config", "tests"])
def test_folders_do_not_shadow_modules(folder: str) -> None:
    """An __init__.py there would hide the standard library's or docker's module."""
    assert not (ROOT / folder / "__init__.py").exists()
