"""Where a refusal of Compose belongs: the path in the files that its words name."""

import re
from collections.abc import Mapping, Sequence

from compose_ops.lint.composefile import Document, Node, Step

Path = tuple[Step, ...]
NAMED = re.compile(r"\b(services|networks|volumes|secrets|configs|include)\.")
EXTRA = re.compile(r"Additional property (\S+) is not allowed")
SERVICE = re.compile(r"service \"([^\"]+)\"")
DEPENDS = re.compile(r"service \"(\S+)\" depends on undefined service \"?([^\s\":]+)")
ABSENT = re.compile(r"(?:open|stat) (\S+): no such file or directory")
QUOTED = re.compile(r"(?:invalid spec: |address: |[Pp]ort: |\")([^\s\",]{2,})")


def place_of(words: str, documents: Sequence[Document]) -> Path:
    """Return the path that a refusal is about, as far as the files have it."""
    if match := DEPENDS.search(words):
        return ("services", match[1], "depends_on", match[2])
    if "include cycle" in words:
        return ("include",)
    if match := ABSENT.search(words):
        return naming(match[1].rpartition("/")[2], documents)
    match = NAMED.search(words)
    if match is not None:
        path = walked(documents, match[1], words[match.end() :])
        extra = EXTRA.search(words)
        return (*path, extra[1]) if extra else path
    if match := SERVICE.search(words):
        return ("services", match[1])
    return by_text(words, documents)


def walked(documents: Sequence[Document], first: str, rest: str) -> Path:
    """Return the longest path that begins with these words in any document."""
    best: Path = (first,)
    for document in documents:
        node = document.root.at(first)
        path: Path = (first,)
        words = rest
        while node is not None:
            step, words = next_step(node, words)
            if step == "":
                break
            path, node = (*path, step), node.at(step)
        best = max(best, path, key=len)
    return best


def next_step(node: Node, words: str) -> tuple[Step, str]:
    """Return the step that the words name first, and what is left of them."""
    bare = words.lstrip(".[")
    for key in sorted(node.members(), key=len, reverse=True):
        if bare.startswith(key) and not re.match(r"[\w-]", bare[len(key) :]):
            return key, bare[len(key) :]
    match = re.match(r"(\d+)\]?", bare)
    if match and int(match[1]) < len(node.items()):
        return int(match[1]), bare[match.end() :]
    return "", words


def naming(file: str, documents: Sequence[Document]) -> Path:
    """Return the `extends` or the entry of `include` that names a file."""
    for document in documents:
        for path, node in document.root.walk():
            if node.text().rpartition("/")[2] == file:
                if "extends" in path:
                    return path[: path.index("extends") + 1]
                if path[:1] == ("include",):
                    return path[:2]
    return ()


def by_text(words: str, documents: Sequence[Document]) -> Path:
    """Return the setting whose text, variables left out, the refusal quotes."""
    quoted = [match[1].rstrip(":") for match in QUOTED.finditer(words)]
    for text in quoted:
        for document in documents:
            for path, node in document.root.walk():
                held = re.sub(r"\$\{[^}]*\}|\$\w+", "", node.text())
                if held and len(path) > 1 and text in {node.text(), held}:
                    return path
    for text in quoted:
        for document in documents:
            for path, node in document.root.walk():
                if len(path) > 1 and re.search(
                    rf"(?<!\w){re.escape(text)}(?!\w)", node.text()
                ):
                    return path
    return ()


def without(node: Node, path: Path) -> Node:
    """Return a copy of a node with what stands at a path taken out."""
    step, *rest = path
    if isinstance(node.value, Mapping):
        members = dict(node.value)
        key = str(step)
        if key in members and rest:
            members[key] = without(members[key], tuple(rest))
        else:
            members.pop(key, None)
        return Node(node.line, members, node.tag)
    gone = node.at(step)
    items = tuple(
        without(item, tuple(rest)) if rest and item is gone else item
        for item in node.items()
        if rest or item is not gone
    )
    return Node(node.line, items, node.tag) if node.items() else node


def holds(node: Node, path: Path) -> bool:
    """Say whether the whole path is there."""
    found: Node | None = node
    for step in path:
        found = found.at(step) if found is not None else None
    return found is not None
