"""
Findings accepted in place, each with its reason.

In a compose file a mapping takes `x-lint-accept: {RULE: reason}` and so accepts that
rule's findings at or below itself; `RULE NAME …` accepts only those whose path ends in
one of the names. An `x-` key is used because a comment is lost when
files are merged, extended or rewritten; a key goes wherever its service goes. In a
Dockerfile or an environment file, which keep their comments, the line above says
`# lint-accept RULE: reason`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from compose_ops.lint.composefile import Document, Node, Step
from compose_ops.lint.finding import RawFinding
from compose_ops.lint.target import LintTarget

KEY = "x-lint-accept"
Place = tuple[Path, int, str]
"""File, line and rule of what is accepted."""
NOTE = re.compile(r"#\s*lint-accept\s+([\w-]+)\s*:?\s*(.*)")


@dataclass(frozen=True, slots=True)
class Acceptance:
    """
    An accepted rule: where that is written, and what it covers.

    `paths` are the mappings that it stands in; a line of a Dockerfile or environment
    file is covered by `covers`, 0 in a compose file. `names` narrow it to findings
    whose path ends in one of them.
    """

    rule: str
    reason: str
    file: Path
    line: int
    paths: tuple[tuple[Step, ...], ...] = ()
    covers: int = 0
    names: tuple[str, ...] = ()

    @property
    def place(self) -> "Place":
        """Return what tells it from the others."""
        return self.file, self.line, self.rule

    def accepts(self, rule: str, hit: RawFinding, file: Path, line: int) -> bool:
        """Say whether a rule's hit at a place is accepted here."""
        if rule != self.rule or not self.reason:
            return False
        if self.covers:
            return file == self.file and line == self.covers
        if self.names and not (hit.path and str(hit.path[-1]) in self.names):
            return False
        return any(tuple(hit.path[: len(path)]) == path for path in self.paths)


def acceptances(subject: LintTarget) -> tuple[Acceptance, ...]:
    """Return everything that a subject's files accept, once per place."""
    found: dict[Place, Acceptance] = {}
    for one in (*in_documents(subject.documents), *in_comments(subject)):
        before = found[one.place].paths if one.place in found else ()
        found[one.place] = replace(one, paths=(*before, *one.paths))
    return tuple(found.values())


def in_documents(documents: tuple[Document, ...]) -> Iterator[Acceptance]:
    for document in documents:
        for path, stated in stating(document.root):
            paths = (path, *inherited(documents, path))
            for words, reason in stated.items():
                rule, *names = words.split() or [""]
                yield Acceptance(
                    rule,
                    reason.text().strip(),
                    document.path,
                    reason.line,
                    paths,
                    names=tuple(names),
                )


def stating(root: Node) -> Iterator[tuple[tuple[Step, ...], Mapping[str, Node]]]:
    """Yield what each mapping accepts and its path; most files state nothing."""
    waiting: list[tuple[tuple[Step, ...], Node]] = [((), root)]
    while waiting:
        path, node = waiting.pop()
        members = node.members()
        if KEY in members and members[KEY].members():
            yield path, members[KEY].members()
        below = members.items() or enumerate(node.items())
        more = [((*path, step), one) for step, one in below if one.holds_others]
        waiting += reversed(more)


def inherited(
    documents: tuple[Document, ...], path: tuple[Step, ...]
) -> list[tuple[Step, ...]]:
    """Return the same path below each service that extends this one."""
    if len(path) < 2 or path[0] != "services":  # noqa: PLR2004
        return []
    found = []
    for document in documents:
        services = document.root.at("services") or Node(1, {})
        for name, service in services.members().items():
            extends = service.at("extends")
            base = extends.at("service") or extends if extends is not None else None
            if base is not None and base.text() == path[1]:
                found.append((path[0], name, *path[2:]))
    return found


def in_comments(subject: LintTarget) -> Iterator[Acceptance]:
    for build in subject.builds.values():
        path = build.dockerfile.path
        for instruction in build.dockerfile.instructions():
            yield from in_notes(path, instruction.notes, instruction.line)
    for line in subject.example.lines.values() if subject.example else ():
        if subject.example:
            yield from in_notes(subject.example.path, line.notes, line.line)


def in_notes(path: Path, notes: tuple[str, ...], line: int) -> Iterator[Acceptance]:
    for above, note in enumerate(reversed(notes), start=1):
        match = NOTE.match(note)
        if match:
            yield Acceptance(
                match[1], match[2].strip(), path, line - above, covers=line
            )
