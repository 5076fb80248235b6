"""
Read compose files with the position of every setting.

Compose's own merged model says what runs, but not where it was written. This reader
keeps file, line and column, and follows `include:` and `extends:`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from compose_ops.errors import ConfigurationError
from compose_ops.lint.env_files import names_in
from compose_ops.lint.yaml_nodes import Node, NotYaml, Step
from compose_ops.lint.yaml_nodes import parse as parse_yaml

__all__ = [
    "Document",
    "Node",
    "Position",
    "Step",
    "locate",
    "parse",
    "position",
    "read",
    "read_all",
    "text_of",
]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file; line and column count from 1."""

    file: Path
    line: int
    column: int = 1


@dataclass(frozen=True, slots=True)
class Document:
    """
    One compose file as it was written.

    `given` are the variables that its own environment files set, where another file
    includes it; `bases` are the files that its services extend, by absolute path.
    """

    path: Path
    root: Node
    given: frozenset[str] = frozenset()
    bases: "Mapping[Path, Document]" = field(
        default_factory=dict, repr=False, compare=False
    )

    def find(self, path: Sequence[Step]) -> Node | None:
        """Return the node at the path, or None."""
        node: Node | None = self.root
        for step in path:
            node = node.at(step) if node is not None else None
        return node

    def depth(self, path: Sequence[Step]) -> tuple[int, int]:
        """Return how many steps of the path exist here and the line of the last."""
        steps, node = self.reach(path)
        return steps, node.line

    def reach(self, path: Sequence[Step]) -> tuple[int, Node]:
        """Return how many steps of the path exist here and the last node."""
        node, steps = self.root, 0
        for step in path:
            below = node.at(step)
            if below is None:
                break
            node, steps = below, steps + 1
        return steps, node

    def services(self) -> Mapping[str, Node]:
        """Return the services that are written here."""
        return (self.root.at("services") or Node(1, {})).members()


def locate(documents: Sequence[Document], path: Sequence[Step]) -> tuple[Path, int]:
    """Return file and line of a setting: see `position`."""
    found = position(documents, path)
    return found.file, found.line


def position(documents: Sequence[Document], path: Sequence[Step]) -> Position:
    """
    Return where a setting is written: the last document that writes it counts.

    Where none does, a service that is extended is looked for; then, of those that
    write most of the path, the first counts, which introduces it. Raises IndexError
    when there is no document.
    """
    found = [(document, *document.reach(path)) for document in documents]
    deepest = max((steps for _, steps, _ in found), default=0)
    if deepest < len(path):
        base = _extended(documents, tuple(path), set())
        if base is not None and base[0] > deepest:
            return base[1]
    holding = [i for i, (_, steps, _) in enumerate(found) if steps == deepest]
    document, _, node = found[holding[-1 if deepest == len(path) else 0]]
    return Position(document.path, node.line, node.column)


def _extended(
    documents: Sequence[Document],
    path: tuple[Step, ...],
    seen: set[tuple[Path, Step]],
) -> tuple[int, Position] | None:
    """Return the depth and the place of a setting in the services extended."""
    if path[:1] != ("services",) or len(path) < 3:  # noqa: PLR2004
        return None
    for document in reversed(documents):
        service = document.services().get(str(path[1]))
        extends = service.at("extends") if service is not None else None
        if extends is None or (document.path, path[1]) in seen:
            continue
        seen.add((document.path, path[1]))
        file, name = _base(document, extends)
        below = document if file is None else document.bases.get(file)
        if below is None or not name:
            continue
        wanted = ("services", name, *path[2:])
        steps, node = below.reach(wanted)
        if steps < len(wanted):
            further = _extended((below,), wanted, seen)
            if further is not None and further[0] > steps:
                return further
        return steps, Position(below.path, node.line, node.column)
    return None


def _base(document: Document, extends: Node) -> tuple[Path | None, str]:
    """Return the file, None for the same, and the service that is extended."""
    if extends.text():
        return None, extends.text()
    file, name = extends.at("file"), extends.at("service")
    path = document.path.parent / file.text() if file and file.text() else None
    return (path.resolve() if path else None), name.text() if name else ""


def text_of(path: Path) -> str:
    """Return a file's text; what is no UTF-8 is read as Latin-1. Raises OSError."""
    data = path.read_bytes()
    try:
        if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
            return data.decode("utf-16")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read(path: Path) -> Document:
    """Read one compose file. Raises ConfigurationError naming file and line."""
    try:
        return parse(text_of(path), path)
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"there is no {path}", hint="name a compose file that exists"
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror or error}",
            hint="name a YAML file in UTF-8",
        ) from error


def parse(text: str, path: Path) -> Document:
    """Parse a compose file's text. Raises ConfigurationError naming file and line."""
    try:
        root = parse_yaml(text)
    except NotYaml as error:
        raise ConfigurationError(
            f"{path}:{error.line}: {error.problem}", hint="correct the YAML there"
        ) from error
    if root is None:
        return Document(path, Node(1, {}))
    if not isinstance(root.value, dict):
        raise ConfigurationError(
            f"{path} is no compose file: it holds no settings",
            hint="name a file with `services:`",
        )
    return Document(path, root)


Reader = Callable[[Path], Document]


def read_all(paths: Sequence[Path], reader: Reader = read) -> tuple[Document, ...]:
    """Read compose files and what they include, an included file before its reader."""
    found: dict[Path, Document] = {}
    for path in paths:
        _collect(path, found, reader, frozenset(), ())
    return tuple(found.values())


def _collect(
    path: Path,
    found: dict[Path, Document],
    reader: Reader,
    given: frozenset[str],
    readers: tuple[Path, ...],
) -> None:
    if path.resolve() in readers or path in found:
        return
    document = reader(path)
    within = (*readers, path.resolve())
    for target, more in _included(document):
        _collect(target, found, reader, given | more, within)
    bases = _bases(document, reader)
    found[path] = replace(document, given=given, bases=bases)


def _included(document: Document) -> Iterator[tuple[Path, frozenset[str]]]:
    """Yield the files that a document includes, and what their env files set."""
    folder = document.path.parent
    for item in (document.root.at("include") or Node(1, ())).items():
        named = item.at("path") if item.members() else item
        own = item.at("env_file") if item.members() else None
        for name in _texts(named):
            target = folder / name
            if "$" not in name and target.is_file():
                env_files = [folder / one for one in _texts(own)]
                names = [names_in(one) for one in env_files or [target.parent / ".env"]]
                yield target, frozenset().union(*names)


def _texts(node: Node | None) -> list[str]:
    if node is None:
        return []
    listed = [one.text() for one in node.items()] or [node.text()]
    return [text for text in listed if text]


def _bases(document: Document, reader: Reader) -> dict[Path, Document]:
    """Return the files that a document's services extend, directly or further on."""
    found: dict[Path, Document] = {}
    waiting = [document]
    while waiting:
        one = waiting.pop()
        for service in one.services().values():
            extends = service.at("extends")
            file = _base(one, extends)[0] if extends is not None else None
            if file is None or file in found or not file.is_file():
                continue
            try:
                found[file] = reader(file)
            except ConfigurationError:
                continue
            waiting.append(found[file])
    for path, base in found.items():
        found[path] = replace(base, bases=found)
    return found
