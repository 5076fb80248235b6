"""
YAML as nodes that know where they stand.

Compose reads some files that a strict YAML reader refuses: an anchor defined twice,
several documents in one file, a byte order mark. This reader takes them as Compose
does, from the events of the same parser family (libyaml).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import yaml
from yaml.resolver import Resolver

Step = str | int
"""One step of a path: a mapping's key, a list's index, or text that an item holds."""

MAX_DEPTH = 100
MAX_NODES = 200_000
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KINDS = {f"tag:yaml.org,2002:{kind}": kind for kind in ("float", "int", "bool")}
_RESOLVE: Callable[..., str] = getattr(Resolver(), "resolve")  # noqa: B009 - untyped


class NotYaml(Exception):  # noqa: N818 - names what the text is
    """The text is no YAML that can be read; *line* counts from 1."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


@dataclass(frozen=True, slots=True)
class Node:
    """
    A setting: the line of its key (or list item), its tag, and what it holds.

    `value` is a mapping of nodes, a tuple of nodes, or the scalar's text; `None` for
    YAML's null. Lines and columns count from 1; `end` is the last line that belongs
    to it. `kind` is `float`, `int`, `bool` or empty for the rest. `text_line` is where
    the value itself begins.
    """

    line: int
    value: "Mapping[str, Node] | tuple[Node, ...] | str | None"
    tag: str = ""
    kind: str = ""
    text_line: int = 0
    column: int = 1
    end: int = 0

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
        """Return the member, item, or the item that the step's text names."""
        if isinstance(self.value, Mapping):
            return self.value.get(str(step))
        if isinstance(step, int):
            found = self.items()[step : step + 1]
            return found[0] if found else None
        return named_item(self.items(), step)

    def walk(
        self, path: tuple[Step, ...] = ()
    ) -> "Iterator[tuple[tuple[Step, ...], Node]]":
        """Yield every node below, this one first, each with its path."""
        yield path, self
        for key, node in self.members().items():
            yield from node.walk((*path, key))
        for index, node in enumerate(self.items()):
            yield from node.walk((*path, index))


def named_item(items: tuple[Node, ...], text: str) -> Node | None:
    """
    Return the list item that a text names.

    An item that is the text counts before one that begins with it and `=` or `:`, that
    before a mapping that has it as a key or value, and that before one that holds it
    as a word of its own: `DB_PASSWORD` is not found in `DB_PASSWORD_FILE`.
    """
    for fits in (_is, _begins, _maps, _contains):
        found = next((node for node in items if fits(node, text)), None)
        if found is not None:
            return found
    return None


def _is(node: Node, text: str) -> bool:
    return node.value == text


def _begins(node: Node, text: str) -> bool:
    return node.text().startswith((f"{text}=", f"{text}:"))


def _maps(node: Node, text: str) -> bool:
    members = node.members()
    return text in members or any(one.text() == text for one in members.values())


def _contains(node: Node, text: str) -> bool:
    held, start = node.text(), -1
    while text and (start := held.find(text, start + 1)) >= 0:
        before, after = held[:start][-1:], held[start + len(text) :][:1]
        joined = text[0].isalnum() and (before.isalnum() or before in {"_", "-", "."})
        if not (joined and before) and not (after.isalnum() or after in {"_", "-"}):
            return True
    return False


def parse(text: str) -> Node | None:
    """
    Return the root of a YAML text, None for an empty one.

    Several documents are merged, the later over the earlier. Raises NotYaml.
    """
    try:
        reader = _Reader(text)
        roots = reader.roots()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise NotYaml(str(problem), mark.line + 1 if mark else 1) from error
    return reduce(_merged, roots) if roots else None


def _merged(one: Node, other: Node) -> Node:
    left, right = one.members(), other.members()
    if not (left and right):
        return other if other.value is not None else one
    both = {key: _merged(left[key], right[key]) for key in left if key in right}
    return Node(one.line, {**left, **right, **both}, one.tag, "", one.text_line)


@dataclass(slots=True)
class _Sized:
    node: Node
    size: int


@dataclass(slots=True)
class _Reader:
    """Builds nodes from the parser's events; an alias shares its anchor's node."""

    text: str
    anchors: dict[str, _Sized | None] = field(default_factory=dict)
    events: Iterator[Any] = field(init=False)

    def roots(self) -> list[Node]:
        self.events = yaml.parse(self.text, Loader=_Loader)
        found: list[Node] = []
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                self.anchors.clear()
                node = self.node(next(self.events), 1, 1, 0).node
                if node.value is not None:
                    found.append(node)
        return found

    def node(self, event: Any, line: int, column: int, depth: int) -> _Sized:
        """Return the node that an event begins; *line* is its key's."""
        if depth > MAX_DEPTH:
            raise NotYaml("it is nested too deeply", line)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, line, column)
        if event.anchor:
            self.anchors[event.anchor] = None
        made = self.made(event, line, column, depth)
        if made.size > MAX_NODES:
            raise NotYaml("its aliases repeat too much", line)
        if event.anchor:
            self.anchors[event.anchor] = made
        return made

    def alias(self, event: Any, line: int, column: int) -> _Sized:
        where = event.start_mark.line + 1
        if event.anchor not in self.anchors:
            raise NotYaml(f"unknown anchor {event.anchor}", where)
        shared = self.anchors[event.anchor]
        if shared is None:
            raise NotYaml(f"anchor {event.anchor} contains itself", where)
        old = shared.node
        return _Sized(
            Node(line, old.value, old.tag, old.kind, old.text_line, column, line),
            shared.size,
        )

    def made(self, event: Any, line: int, column: int, depth: int) -> _Sized:
        tag = event.tag if event.tag and event.tag.startswith("!") else ""
        tag = "" if tag == "!" else tag
        start = event.start_mark.line + 1
        if isinstance(event, yaml.MappingStartEvent):
            value, size, end = self.mapping(depth)
            return _Sized(Node(line, value, tag, "", start, column, end), size)
        if isinstance(event, yaml.SequenceStartEvent):
            items, size, end = self.sequence(depth)
            return _Sized(Node(line, items, tag, "", start, column, end), size)
        plain = event.implicit[0] and not event.tag
        kind = _RESOLVE(yaml.ScalarNode, event.value, (plain, not plain))
        null = kind == "tag:yaml.org,2002:null" if plain else False
        null = null or bool(tag and event.value in {"", "null", "~"})
        end = max(event.end_mark.line + (event.end_mark.column > 0), line)
        return _Sized(
            Node(
                line,
                None if null else event.value,
                tag,
                _KINDS.get(kind, "") if plain else "",
                start,
                column,
                end,
            ),
            1,
        )

    def sequence(self, depth: int) -> tuple[tuple[Node, ...], int, int]:
        items: list[Node] = []
        size = 1
        event: Any
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            mark = event.start_mark
            below = self.node(event, mark.line + 1, mark.column + 1, depth + 1)
            items.append(below.node)
            size += below.size
        closing: Any = event.end_mark
        end = closing.line + (closing.column > 0)
        return tuple(items), size, max([n.end for n in items], default=end)

    def mapping(self, depth: int) -> tuple[dict[str, Node], int, int]:
        """Return the members, those of merge keys (`<<`) under the own ones."""
        merged: dict[str, Node] = {}
        own: dict[str, Node] = {}
        size, last = 1, 0
        event: Any
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            mark = event.start_mark
            key = self.node(event, mark.line + 1, mark.column + 1, depth + 1).node
            below = self.node(
                next(self.events), mark.line + 1, mark.column + 1, depth + 1
            )
            size += below.size
            last = max(last, below.node.end)
            if key.text() == "<<":
                sources = below.node.items() or (below.node,)
                for source in reversed(sources):
                    merged |= source.members()
            else:
                own[key.text() if key.value is not None else "null"] = below.node
        closing: Any = event.end_mark
        return merged | own, size, last or closing.line + (closing.column > 0)
