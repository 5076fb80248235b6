"""Every element of the Compose specification has a row that says what tasks do."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from docker_schemas import compose_schema
from repository import ROOT

PAGE = (ROOT / "docs/compose.md").read_text()

pytestmark = pytest.mark.compose


def elements(
    node: dict[str, Any], path: tuple[str, ...] = (), above: tuple[str, ...] = ()
) -> Iterator[str]:
    """Yield the path of each element; names that a user chooses are left out."""
    if reference := node.get("$ref"):
        name = reference.rpartition("/")[2]
        if name in above:
            return
        above, node = (*above, name), compose_schema()["definitions"][name]
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


def test_page_has_every_element_of_composes_compose_schema() -> None:
    known = set(elements(compose_schema()))

    assert len(known) > 250
    assert sorted(known - documented()) == []
