"""The layers go one way, and only the adapter knows the outside."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from jimbot_stack.paths import ROOT

PACKAGE = ROOT / "jimbot_stack"
FILES = sorted(PACKAGE.rglob("*.py"))

# A module may import its own layer and those below it, never one above.
LAYERS = (
    {"errors", "paths"},
    {"engine", "units", "once"},
    {"mode", "model", "environment", "composefile", "dockerfile", "rules"},
    {"whales"},
    {"console", "locking", "stack", "health"},
)
TOP = {"cli"}
ONLY = {
    "python_on_whales": {"whales"},
    "dotenv": {"environment"},
    "invoke": {"cli"},
    "rich": {"console"},
}


def room(path: Path) -> str:
    """Return the module or package of the library that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def layer(name: str) -> int:
    if name in TOP:
        return len(LAYERS) + 1
    for number, names in enumerate(LAYERS):
        if name in names:
            return number
    return len(LAYERS)


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, at its top or inside functions."""
    package = ".".join(path.relative_to(ROOT).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join(parents) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_module_imports_only_downwards(path: Path) -> None:
    """Tasks use operations, operations the model and the port, never the reverse."""
    own = room(path)
    rooms = {p.relative_to(PACKAGE).parts[0].removesuffix(".py") for p in FILES}
    used = {
        name.split(".")[1]
        for name in imports(path)
        if name.startswith("jimbot_stack.") and name.split(".")[1] in rooms
    }

    upward = {name for name in used - {own} if layer(name) > layer(own)}
    assert upward - ({"whales"} if own == "stack" else set()) == set()


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_operations_never_see_the_adapter(path: Path) -> None:
    """Only the composition root builds the adapter."""
    if room(path) in {"whales", "stack"}:
        return
    assert not [n for n in imports(path) if n.startswith("jimbot_stack.whales")]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_each_outside_library_has_one_room(path: Path) -> None:
    """python-on-whales, invoke, dotenv and rich are each known in one place."""
    outside = {name.split(".")[0] for name in imports(path)}

    assert {n for n in outside if n in ONLY and room(path) not in ONLY[n]} == set()


@pytest.mark.parametrize("folder", ["secrets", "docker", "config", "tests"])
def test_folders_do_not_shadow_modules(folder: str) -> None:
    """An __init__.py there would hide the standard library's or docker's module."""
    assert not (ROOT / folder / "__init__.py").exists()
