"""
The JSON schemas in the docker client and in its Compose plugin, and their elements.

Go programs carry their embedded files as they are, so a schema is found by its id.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

Schema = dict[str, Any]


@cache
def compose_schema() -> Schema:
    """Return the schema of compose files, of the plugin that is installed."""
    words = ["docker", "info", "--format", "{{json .ClientInfo.Plugins}}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    [plugin] = [p for p in json.loads(done.stdout) if p["Name"] == "compose"]
    [found] = _schemas(Path(plugin["Path"]), rb"compose_spec\.json")
    return found


@cache
def stack_schema() -> Schema:
    """Return the newest schema of files for `docker stack deploy`."""
    client = Path(str(shutil.which("docker"))).resolve()
    found = _schemas(client, rb"config_schema_v3\.\d+\.json")
    return max(found, key=lambda schema: int(re.findall(r"\d+", schema["id"])[1]))


def elements(schema: Schema) -> set[str]:
    """
    Return the path of every element, such as `services.*.ports.target`.

    `*` is a name that the user gives; items of a list have the path of the list.
    """
    return set(_elements(schema, schema, ""))


def _elements(root: Schema, node: Schema, path: str) -> Iterator[str]:
    for part in _alternatives(root, node):
        named = dict(part.get("properties", {}))
        for pattern, inner in part.get("patternProperties", {}).items():
            if not pattern.startswith("^x-"):
                named["*"] = inner
        for name, inner in named.items():
            below = f"{path}.{name}" if path else name
            if name != "*":
                yield below
            yield from _elements(root, inner, below)
        if isinstance(part.get("items"), dict):
            yield from _elements(root, part["items"], path)


def _alternatives(root: Schema, node: Schema) -> Iterator[Schema]:
    if "$ref" in node:
        target: Any = root
        for word in node["$ref"].removeprefix("#/").split("/"):
            target = target[word]
        yield from _alternatives(root, target)
        return
    yield node
    for kind in ("oneOf", "anyOf", "allOf"):
        for inner in node.get(kind, ()):
            yield from _alternatives(root, inner)


def _schemas(program: Path, name: bytes) -> list[Schema]:
    """Return the schemas in a program whose id is *name*, a pattern."""
    data = program.read_bytes()
    found = []
    for match in re.finditer(rb'\{\s*"\$schema"[^{}]*?"' + name + rb'"', data):
        text = data[match.start() : match.start() + (1 << 18)].decode(errors="replace")
        schema, _ = json.JSONDecoder().raw_decode(text)
        found.append(schema)
    return found
