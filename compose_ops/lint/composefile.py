"""
Read compose files with the position of every setting.

Compose's own merged model says what runs, but not where it was written. This reader
keeps file and line, understands Compose's `!reset` and `!override` tags and YAML merge
keys, and follows `include:`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from compose_ops.errors import ConfigurationError

Step = str | int
"""One step of a path: a mapping's key, a list's index, or text that an item holds."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KINDS = {"tag:yaml.org,2002:float": "float", "tag:yaml.org,2002:int": "int"}


@dataclass(frozen=True, slots=True)
class Node:
    """
    A setting: the line of its key (or list item), its tag, and what it holds.

    `value` is a mapping of nodes, a tuple of nodes, or the scalar's text; `None` for
    YAML's null. Lines count from 1. `kind` is `float`, `int` or empty for the rest.
    """

    line: int
    value: "Mapping[str, Node] | tuple[Node, ...] | str | None"
    tag: str = ""
    kind: str = ""
    text_line: int = 0

    @property
    def holds_others(self) -> bool:
        """Say whether this is a mapping or a list with something in it."""
        return isinstance(self.value, dict | tuple) and bool(self.value)

    def members(self) -> "Mapping[str, Node]":
        """Return the mapping's members, none when this is no mapping."""
        return self.value if isinstance(self.value, dict) else {}

    def items(self) -> "tuple[Node, ...]":
        """Return the list's items, none when this is no list."""
        return self.value if isinstance(self.value, tuple) else ()

    def text(self) -> str:
        """Return the scalar's text, empty when this is no scalar."""
        return self.value if isinstance(self.value, str) else ""

    def plain(self) -> Any:
        """Return the value as dicts, lists and text, without positions."""
        if isinstance(self.value, Mapping):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value

    def at(self, step: Step) -> "Node | None":
        """Return the member, item, or first item that holds the step's text."""
        if isinstance(self.value, Mapping):
            return self.value.get(str(step))
        if isinstance(step, int):
            found = self.items()[step : step + 1]
            return found[0] if found else None
        return next((node for node in self.items() if holds(node, step)), None)

    def walk(
        self, path: tuple[Step, ...] = ()
    ) -> "Iterator[tuple[tuple[Step, ...], Node]]":
        """Yield every node below, this one first, each with its path."""
        yield path, self
        for key, node in self.members().items():
            yield from node.walk((*path, key))
        for index, node in enumerate(self.items()):
            yield from node.walk((*path, index))


@dataclass(frozen=True, slots=True)
class Document:
    """One compose file as it was written."""

    path: Path
    root: Node

    def find(self, path: Sequence[Step]) -> Node | None:
        """Return the node at the path, or None."""
        node: Node | None = self.root
        for step in path:
            node = node.at(step) if node is not None else None
        return node

    def depth(self, path: Sequence[Step]) -> tuple[int, int]:
        """Return how many steps of the path exist here and the line of the last."""
        node, depth = self.root, 0
        for step in path:
            below = node.at(step)
            if below is None:
                break
            node, depth = below, depth + 1
        return depth, node.line


def holds(node: Node, text: str) -> bool:
    """Say whether a list item is, maps, or contains the text."""
    if isinstance(node.value, Mapping):
        return text in node.value or any(
            member.text() == text for member in node.value.values()
        )
    return text in node.text()


def locate(documents: Sequence[Document], path: Sequence[Step]) -> tuple[Path, int]:
    """
    Return file and line of a setting: the last document that writes it counts.

    Where none writes it, of those that write most of its path the first counts, which
    is the one that introduces it. Raises IndexError when there is no document.
    """
    found = [document.depth(path) for document in documents]
    deepest = max((depth for depth, _ in found), default=0)
    holding = [i for i, (depth, _) in enumerate(found) if depth == deepest]
    index = holding[-1 if deepest == len(path) else 0]
    return documents[index].path, found[index][1]


def read(path: Path) -> Document:
    """Read one compose file. Raises ConfigurationError naming file and line."""
    try:
        return parse(path.read_text(encoding="utf-8"), path)
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"there is no {path}", hint="name a compose file that exists"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error}", hint="name a YAML file in UTF-8"
        ) from error


def parse(text: str, path: Path) -> Document:
    """Parse a compose file's text. Raises ConfigurationError naming file and line."""
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise ConfigurationError(
            f"{path}:{line}: {problem}", hint="correct the YAML there"
        ) from error
    if root is None:
        return Document(path, Node(1, {}))
    if not isinstance(root, yaml.MappingNode):
        raise ConfigurationError(
            f"{path} is no compose file: it holds no settings",
            hint="name a file with `services:`",
        )
    try:
        return Document(path, convert(root, 1))
    except RecursionError as error:
        raise ConfigurationError(
            f"{path} has an anchor that contains itself", hint="take the alias out"
        ) from error


def read_all(
    paths: Sequence[Path], reader: Callable[[Path], Document] = read
) -> tuple[Document, ...]:
    """Read compose files and what they include, an included file before its reader."""
    found: dict[Path, Document] = {}
    for path in paths:
        collect(path, found, reader)
    return tuple(found.values())


def collect(
    path: Path, found: dict[Path, Document], reader: Callable[[Path], Document]
) -> None:
    if path in found:
        return
    document = reader(path)
    for item in (document.root.at("include") or Node(1, ())).items():
        named = item.at("path") or item
        for name in [node.text() for node in named.items()] or [named.text()]:
            target = path.parent / name
            if name and "$" not in name and target.is_file():
                collect(target, found, reader)
    found[path] = document


def convert(node: yaml.Node, line: int) -> Node:
    tag = node.tag if node.tag.startswith("!") else ""
    text_line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return Node(line, members(node), tag, "", text_line)
    if isinstance(node, yaml.SequenceNode):
        items = tuple(convert(item, item.start_mark.line + 1) for item in node.value)
        return Node(line, items, tag, "", text_line)
    null = node.tag == "tag:yaml.org,2002:null" or (tag and node.value in {"", "null"})
    kind = _KINDS.get(node.tag, "")
    return Node(line, None if null else str(node.value), tag, kind, text_line)


def members(node: yaml.MappingNode) -> dict[str, Node]:
    """Return the members, those of merge keys (`<<`) first so that own ones win."""
    merged: dict[str, Node] = {}
    own: dict[str, Node] = {}
    for key, value in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for source in reversed(sources):
                if isinstance(source, yaml.MappingNode):
                    merged |= members(source)
        else:
            own[str(key.value)] = convert(value, key.start_mark.line + 1)
    return merged | own
