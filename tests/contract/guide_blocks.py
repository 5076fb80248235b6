"""
Reads the settings out of a guide's fenced blocks.

A setting is a dotted path and a value; the item of a list is the list's path and the
item in brackets, a Dockerfile instruction `stage/INSTRUCTION[n]` (n counts from 1
within the stage; a stage without a name is called `runtime`), a line of a script
`line[text]`, a typed command `typed[text]`, a file of a tree `tree[path]`.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

ORDERED = {"test", "command", "entrypoint", "runtimeArgs", "capabilities", "device_ids"}
TOP_LEVEL = ("services:", "networks:", "volumes:", "secrets:", "configs:")
INSTRUCTION = re.compile(r"^([A-Z]+)\s+(.*)$", re.DOTALL)
FENCE = re.compile(r"^(`{3,}|~{3,})\s*([\w+-]*)")
NAMED_FILE = re.compile(
    r"^#\s*(?:Add to )?([\w./-]*(?:/[\w.-]+|\.ya?ml|\.sh|Dockerfile)):?$"
)
ORDINAL = re.compile(r"\[\d+\]$")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a guide; `file` is empty where its block names none."""

    section: str
    file: str
    path: str
    value: Any

    @property
    def text(self) -> str:
        """The value as written, whatever YAML type it was given."""
        return written(self.value)

    @property
    def place(self) -> tuple[str, str, str]:
        """Section, file and path: what tells one row of the table from another."""
        return self.section, self.file, self.path

    @property
    def key(self) -> tuple[str, str]:
        """Path without the instruction's ordinal, and the value's text."""
        return ORDINAL.sub("", self.path), self.text


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: the heading above it, its first line number, language, text."""

    section: str
    line: int
    language: str
    text: str


class UnreadableBlockError(ValueError):
    """A block that no reader here understands."""


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads Compose's `!reset` and `!override` as plain values."""


def _untagged(loader: _Loader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)  # type: ignore[arg-type]


_Loader.add_multi_constructor("!", _untagged)


def written(value: Any) -> str:
    """Return *value* as one comparable text; 3.9 and '3.9' are the same setting."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, list):
        return json.dumps([written(item) for item in value])
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else str(value)


def load_yaml(text: str) -> Any:
    """Parse one YAML document, Compose's own tags included."""
    return yaml.load(text, Loader=_Loader)


def flatten(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted path, value) for each leaf; list items stand in brackets."""
    last = path.rsplit(".", 1)[-1]
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flatten(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value and last not in ORDERED:
        for number, item in enumerate(value):
            if isinstance(item, dict):
                yield from flatten(item, f"{path}[{number}]")
            else:
                yield f"{path}[{written(item)}]", item
    else:
        yield path, value


def blocks(guide: str) -> Iterator[Block]:
    """Yield the fenced blocks of a Markdown text with the heading above each."""
    section, fence, language, start, body = "", "", "", 0, list[str]()
    for number, line in enumerate(guide.splitlines(), 1):
        match = FENCE.match(line)
        if fence:
            if match and line.strip().startswith(fence) and not match[2]:
                yield Block(section, start, language, "\n".join(body) + "\n")
                fence = ""
            else:
                body.append(line)
        elif match:
            fence, language, start, body = match[1], match[2].lower(), number + 1, []
        elif line.startswith("#"):
            section = line.lstrip("#").strip()
    if fence:
        message = f"line {start - 1}: the fence is never closed"
        raise UnreadableBlockError(message)


def settings_of(block: Block) -> Iterator[Setting]:
    """Yield the settings of one block; UnreadableBlockError without a reader."""
    if block.language in {"yaml", "yml", "json", "compose"}:
        pairs = _compose(block.text)
    elif block.language in {"dockerfile", "docker"}:
        pairs = _dockerfile_block(block.text)
    elif block.language in {"bash", "sh", "shell", "console"}:
        pairs = _shell(block.text)
    elif "──" in block.text:
        pairs = _tree(block.text)
    else:
        language = block.language or "unnamed"
        message = f"line {block.line}: no reader for a block of kind {language}"
        raise UnreadableBlockError(message)
    try:
        for file, path, value in pairs:
            yield Setting(block.section, file, path, value)
    except yaml.YAMLError as error:
        message = f"line {block.line}: {' '.join(str(error).split())}"
        raise UnreadableBlockError(message) from error


def parse_guide(guide: str) -> tuple[list[Setting], list[str]]:
    """Return the settings of every block, and one line for each unreadable one."""
    found: list[Setting] = []
    unreadable: list[str] = []
    try:
        for block in blocks(guide):
            try:
                found.extend(settings_of(block))
            except UnreadableBlockError as error:
                unreadable.append(str(error))
    except UnreadableBlockError as error:
        unreadable.append(str(error))
    return found, unreadable


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield (`stage/INSTRUCTION[n]`, arguments on one line) of a Dockerfile."""
    lines = [ln for ln in text.splitlines() if not ln.lstrip().startswith("#")]
    joined = re.sub(r"\\\s*\n", " ", "\n".join(lines))
    stage, counts = "runtime", Counter[tuple[str, str]]()
    for line in joined.splitlines():
        match = INSTRUCTION.match(line.strip())
        if not match:
            continue
        name, arguments = match[1], " ".join(match[2].split())
        if name == "FROM":
            _, _, alias = arguments.partition(" AS ")
            stage = alias or "runtime"
        counts[stage, name] += 1
        yield f"{stage}/{name}[{counts[stage, name]}]", arguments


def _named_file(text: str) -> str:
    for line in text.splitlines():
        match = NAMED_FILE.match(line.strip()) if not line.startswith("#!") else None
        if match:
            return match[1]
        if line.strip() and not line.lstrip().startswith("#"):
            break
    return ""


def _compose(text: str) -> Iterator[tuple[str, str, Any]]:
    json_lines, target = list[str](), ""
    for line in text.splitlines():
        if not line.startswith("#"):
            continue
        match = NAMED_FILE.match(line)
        if match and match[1].endswith(".json"):
            target = match[1]
        elif target and (json_lines or line.strip("# ") == "{"):
            json_lines.append(line.lstrip("#"))
    if json_lines:
        for path, value in flatten(load_yaml("\n".join(json_lines))):
            yield target, path, value
    file = "" if target else _named_file(text)
    for path, value in flatten(load_yaml(text) or {}):
        if path:
            yield file, path, value


def _dockerfile_block(text: str) -> Iterator[tuple[str, str, Any]]:
    lines = text.splitlines(keepends=True)
    cut = next(
        (n for n, line in enumerate(lines) if line.rstrip() in TOP_LEVEL), len(lines)
    )
    for path, value in instructions("".join(lines[:cut])):
        file = _named_file(text)
        yield file if file.endswith("Dockerfile") else "", path, value
    if cut < len(lines):
        named = [NAMED_FILE.match(line.strip()) for line in lines[:cut]]
        files = [match[1] for match in named if match]
        for path, value in flatten(load_yaml("".join(lines[cut:]))):
            yield files[-1] if files else "", path, value


def _shell(text: str) -> Iterator[tuple[str, str, Any]]:
    script = text.startswith("#!")
    lines = [line.strip() for line in re.sub(r"\\\s*\n", " ", text).splitlines()]
    kept = [line for line in lines if line and not line.startswith("#")]
    file = _named_file(text) if script else ""
    if script:
        kept.insert(0, text.splitlines()[0])
    for line in kept:
        yield file, f"{'line' if script else 'typed'}[{' '.join(line.split())}]", line


def _tree(text: str) -> Iterator[tuple[str, str, Any]]:
    parents: list[str] = []
    for line in text.splitlines():
        match = re.match(r"^([│\s]*)[├└]──\s*(\S+)", line)
        if match:
            depth = len(match[1]) // 4
            parents[depth:] = [match[2].rstrip("/")]
            path = "/".join(parents) + ("/" if match[2].endswith("/") else "")
            yield "", f"tree[{path}]", path
