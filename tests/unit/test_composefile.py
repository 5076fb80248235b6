"""The reader of compose files keeps positions and Compose's own tags."""

from pathlib import Path

import pytest

from compose_ops.errors import ConfigurationError
from compose_ops.lint.composefile import Document, locate, parse, read, read_all

BASE = """\
x-common: &common
  image: example/app:1
services:
  app:
    <<: *common
    ports:
      - "8000:8000"
      - target: 9000
        published: "9001"
"""
OVERRIDE = """\
services:
  app:
    container_name: !reset null
    ports: !override
      - "80:8000"
"""


def documents() -> tuple[Document, Document]:
    return parse(BASE, Path("base.yml")), parse(OVERRIDE, Path("prod.yml"))


def test_tags_of_compose_are_kept() -> None:
    """A reset is null and an override a list, each with its tag."""
    _, override = documents()
    name = override.find(("services", "app", "container_name"))
    ports = override.find(("services", "app", "ports"))

    assert name is not None
    assert ports is not None
    assert (name.tag, name.value) == ("!reset", None)
    assert (ports.tag, ports.plain()) == ("!override", ["80:8000"])


def test_merge_keys_point_to_where_they_are_written() -> None:
    """What an anchor brings keeps the anchor's line."""
    base, _ = documents()

    assert locate([base], ("services", "app", "image")) == (Path("base.yml"), 2)


def test_last_document_that_writes_a_setting_is_named() -> None:
    """Of two files that write a setting the later one counts."""
    assert locate(documents(), ("services", "app", "ports")) == (Path("prod.yml"), 4)


def test_first_document_of_a_service_is_named_for_what_is_missing() -> None:
    """A setting that no file writes is missing where its service begins."""
    path = ("services", "app", "healthcheck")

    assert locate(documents(), path) == (Path("base.yml"), 4)


@pytest.mark.parametrize(("text", "line"), [("8000:8000", 7), ("9001", 8)])
def test_list_items_are_found_by_what_they_hold(text: str, line: int) -> None:
    """A short port is found by its text, a long one by a value."""
    base, _ = documents()

    assert base.depth(("services", "app", "ports", text)) == (4, line)


def test_included_files_come_before_their_reader(tmp_path: Path) -> None:
    """`include:` is followed, each file once."""
    for name, text in (
        ("a.yml", "include: [b.yml, {path: c.yml}]\n"),
        ("b.yml", "include: [c.yml]\n"),
        ("c.yml", "services: {}\n"),
    ):
        (tmp_path / name).write_text(text)

    found = read_all([tmp_path / "a.yml"])

    assert [document.path.name for document in found] == ["c.yml", "b.yml", "a.yml"]


@pytest.mark.parametrize(
    "text", ["services: [", "- a\n- b\n", "a: &a [*a]\n", "\t", "a: b: c"]
)
def test_what_is_no_compose_file_is_refused(tmp_path: Path, text: str) -> None:
    """Broken YAML, a list, and an anchor in itself are named, not raised."""
    (tmp_path / "x.yml").write_text(text)

    with pytest.raises(ConfigurationError, match=r"x\.yml"):
        read(tmp_path / "x.yml")
