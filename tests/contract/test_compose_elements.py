"""Every element of the Compose specification has a row that says what tasks do."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from repository import ROOT

PAGE = (ROOT / "docs/compose.md").read_text()
MARK = b'"$id": "compose_spec.json"'
LARGEST = 1 << 20

pytestmark = pytest.mark.compose


@cache
def schema() -> dict[str, Any]:
    """Return the JSON schema that the installed Compose carries inside."""
    listed = ["docker", "info", "--format", "{{json .ClientInfo.Plugins}}"]
    done = subprocess.run(listed, capture_output=True, text=True, check=False)
    plugins = json.loads(done.stdout or "[]")
    found = [one["Path"] for one in plugins if one["Name"] == "compose"]
    program = Path(found[0] if found else shutil.which("docker-compose") or "")
    content = program.read_bytes()
    begin = content.rfind(b"{", 0, content.index(MARK))
    text = content[begin : begin + LARGEST].decode(errors="replace")
    read: dict[str, Any] = json.JSONDecoder().raw_decode(text)[0]
    return read


def elements(
    node: dict[str, Any], path: tuple[str, ...] = (), above: tuple[str, ...] = ()
) -> Iterator[str]:
    """Yield the path of each element; names that a user chooses are left out."""
    if reference := node.get("$ref"):
        name = reference.rpartition("/")[2]
        if name in above:
            return
        above, node = (*above, name), schema()["definitions"][name]
    if path:
        yield ".".join(path)
    for key, inner in node.get("properties", {}).items():
        yield from elements(inner, (*path, key), above)
    more = [v for p, v in node.get("patternProperties", {}).items() if p != "^x-"]
    more += [node[k] for k in ("additionalProperties", "items") if k in node]
    more += [v for k in ("oneOf", "anyOf", "allOf") for v in node.get(k, ())]
    for inner in more:
        if isinstance(inner, dict):
            yield from elements(inner, path, above)


def documented() -> set[str]:
    """Return the elements in the first cells of the page's tables."""
    found: set[str] = set()
    for section in PAGE.split("\n## ")[1:]:
        title = re.match(r"`([a-z.]+)`", section)
        prefix = f"{title[1]}." if title else ""
        for line in section.splitlines():
            if line.startswith("| `"):
                names = re.findall(r"`([^`]+)`", line.split("|")[1])
                found |= {prefix + name for name in names if name[0] != "."}
    return found


def test_page_has_every_element_of_composes_schema() -> None:
    known = set(elements(schema()))

    assert len(known) > 250
    assert sorted(known - documented()) == []
