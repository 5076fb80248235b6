"""
The settings of the project's files that are no compose files.

Dockerfiles, scripts, the tree of files and the commands that a person types.
"""

import json
import re
from pathlib import Path

from guide_blocks import ORDINAL, flatten, instructions, written

DEFAULT = re.compile(r"\$\{(\w+)\}|\$(\w+)")


def plain_values(root: Path, file: str) -> set[tuple[str, str]]:
    """
    Return the (path, text) pairs that *file* of the project has.

    File "." is the tree; "terminal" has no file, a typed command holds as the guide
    writes it where it needs nothing but the docker client.
    """
    if file == ".":
        return {_tree_pair(root, path) for path in _listed(root)}
    if file == "terminal":
        return {("typed[docker stats]", "docker stats")}
    path = root / file
    if file.startswith("/") or not path.is_file():
        return set()
    text = path.read_text(encoding="utf-8")
    if path.name == "Dockerfile":
        return set(dockerfile_pairs(text))
    if path.suffix == ".json":
        return {(key, written(value)) for key, value in flatten(json.loads(text))}
    lines = {" ".join(line.split()) for line in text.splitlines()}
    return {(f"line[{line}]", line) for line in lines if line}


def dockerfile_pairs(text: str) -> list[tuple[str, str]]:
    """
    Return (`stage/INSTRUCTION`, arguments) of a Dockerfile, in order.

    The defaults of ARGs are filled in where they choose a base image, only there.
    """
    defaults = dict[str, str]()
    pairs = list[tuple[str, str]]()
    for path, arguments in instructions(text):
        name = path.rpartition("/")[2].partition("[")[0]
        filled = arguments
        if name == "ARG" and "=" in arguments:
            key, _, default = arguments.partition("=")
            defaults.setdefault(key, default.strip('"'))
        if name == "FROM":
            filled = DEFAULT.sub(
                lambda match: defaults.get(match[1] or match[2], ""), arguments
            )
        pairs.append((ORDINAL.sub("", path), " ".join(filled.split())))
    return pairs


def _listed(root: Path) -> list[Path]:
    names = [root / ".env.example", *root.glob("docker-compose*.yml")]
    return [*names, root / "docker", *sorted((root / "docker").rglob("*"))]


def _tree_pair(root: Path, path: Path) -> tuple[str, str]:
    name = path.relative_to(root).as_posix() + ("/" if path.is_dir() else "")
    return f"tree[{name}]", name
