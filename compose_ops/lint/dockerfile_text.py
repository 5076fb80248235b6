"""
Cut a Dockerfile's text into instructions, as BuildKit does.

Directives at the top (`# escape=`), continuation lines with comments and blank lines
within, and heredocs belong to what they stand in.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.*?)\s*$")
KEYWORD = re.compile(r"\s*([A-Za-z]+)\s*(.*)", re.DOTALL)
FLAG = re.compile(r"--([a-z-]+)(?:=((?:\"[^\"]*\"|'[^']*'|\S)*))?(?:\s+|$)")
HEREDOC = re.compile(r"\d*<<(-?)([^<]+)$", re.DOTALL)
WITH_HEREDOC = frozenset({"RUN", "COPY", "ADD"})
OWN_FLAGS = frozenset({"CMD", "ENTRYPOINT", "SHELL", "ENV", "ARG", "LABEL", "EXPOSE"})
DIRECTIVES = frozenset({"syntax", "escape", "check"})


@dataclass(frozen=True, slots=True)
class Instruction:
    """
    One instruction: its first line (from 1), keyword in capitals, flags and text.

    `argv` is the list of an exec form, `None` for a shell form. `notes` are the
    comment lines right above, `heredocs` the bodies of heredocs in their order, and
    `flag_list` every flag with its value, also those that are given twice.
    """

    line: int
    keyword: str
    text: str
    flags: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    heredocs: tuple[str, ...] = ()
    flag_list: tuple[tuple[str, str], ...] = ()

    @property
    def argv(self) -> tuple[str, ...] | None:
        return exec_form(self.text)

    @property
    def script(self) -> str:
        """The text with the bodies of its heredocs."""
        return "\n".join((self.text, *self.heredocs))

    def words(self) -> list[str]:
        """Return the exec form's arguments, or the text cut at blanks."""
        return list(self.argv or self.text.split())


def exec_form(text: str) -> tuple[str, ...] | None:
    """Return the arguments of an exec form (a JSON list of text), else None."""
    if not text.lstrip().startswith("["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return tuple(value)
    return None


def directives(lines: Sequence[str]) -> dict[str, str]:
    """Return the parser directives: comments at the very top, each name once."""
    found: dict[str, str] = {}
    for line in lines:
        match = DIRECTIVE.match(line.strip())
        name = match[1].lower() if match else ""
        if match is None or name not in DIRECTIVES or name in found:
            break
        found[name] = match[2]
    return found


def split(text: str, first_line: int = 1) -> list[Instruction]:
    """Cut the text into instructions; continuation lines and heredocs stay together."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    escape = "`" if directives(lines).get("escape") == "`" else "\\"
    found: list[Instruction] = []
    notes: list[str] = []
    index = 0
    while index < len(lines):
        stripped = lines[index].strip()
        if not stripped or stripped.startswith("#"):
            notes = [*notes, stripped] if stripped else []
            index += 1
            continue
        start = index
        index, body = logical_line(lines, index, escape)
        index, heredocs = bodies(lines, index, body, escape)
        found.append(
            make_instruction(start + first_line, body, tuple(notes), tuple(heredocs))
        )
        notes = []
    return found


def logical_line(lines: Sequence[str], index: int, escape: str) -> tuple[int, str]:
    """Return the index after a line with its continuations, and their text."""
    parts: list[str] = []
    continued = re.compile(rf"(^|[^{re.escape(escape)}]){re.escape(escape)}[ \t]*$")
    while index < len(lines):
        line = lines[index]
        if parts and (not line.strip() or line.strip().startswith("#")):
            index += 1
            continue
        index += 1
        if continued.search(line) is None:
            parts.append(line.rstrip())
            break
        parts.append(line.rstrip().removesuffix(escape))
    return index, "\n".join(parts)


def bodies(
    lines: Sequence[str], index: int, body: str, escape: str
) -> tuple[int, list[str]]:
    """Return the index after the heredocs that a logical line opens, and their text."""
    found: list[str] = []
    for chomp, name in openings(body, escape):
        inside: list[str] = []
        while index < len(lines):
            line = lines[index].lstrip("\t") if chomp else lines[index]
            index += 1
            if line == name:
                break
            inside.append(line)
        found.append("\n".join(inside))
    return index, found


def openings(body: str, escape: str) -> Iterator[tuple[bool, str]]:
    """Yield each heredoc of a logical line: whether tabs go, and its delimiter."""
    match = KEYWORD.match(body)
    keyword, rest = (match[1].upper(), match[2]) if match else ("", "")
    if keyword == "ONBUILD" and (match := KEYWORD.match(rest)):
        keyword, rest = match[1].upper(), match[2]
    if keyword not in WITH_HEREDOC or "<<" not in rest:
        return
    for word in raw_words(rest, escape):
        opening = HEREDOC.match(word)
        if opening is None:
            continue
        name = re.sub(rf"{re.escape(escape)}(.)|[\"']", r"\1", opening[2])
        if name and not re.search(r"\s", name):
            yield bool(opening[1]), name


def raw_words(text: str, escape: str) -> Iterator[str]:
    """Yield the words of a shell text, quotes kept, cut at blanks outside quotes."""
    word, quote, index = "", "", 0
    while index < len(text):
        one = text[index]
        if one == escape and quote != "'" and index + 1 < len(text):
            word += text[index : index + 2]
            index += 2
            continue
        if quote:
            quote = "" if one == quote else quote
        elif one in "\"'":
            quote = one
        elif one.isspace():
            if word:
                yield word
            word, index = "", index + 1
            continue
        word += one
        index += 1
    if word:
        yield word


def make_instruction(
    line: int, body: str, notes: tuple[str, ...], heredocs: tuple[str, ...]
) -> Instruction:
    match = KEYWORD.match(body)
    keyword, rest = (match[1].upper(), match[2]) if match else ("", body)
    listed: list[tuple[str, str]] = []
    while keyword not in OWN_FLAGS and (flag := FLAG.match(rest)):
        listed.append((flag[1], (flag[2] or "").strip("\"'")))
        rest = rest[flag.end() :]
    return Instruction(
        line, keyword, rest.strip(), dict(listed), notes, heredocs, tuple(listed)
    )
