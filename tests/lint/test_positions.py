"""Each finding points to the text that it is about."""

import re
from pathlib import Path

import pytest
from lint_cases import Case, folder_cases, recorded_subjects

from compose_ops.lint import Finding, check_all
from compose_ops.lint.composefile import Document, position, read_all

CASES = [*folder_cases("corpus"), *folder_cases("shapes")]


def begins_a_word(line: str, column: int) -> bool:
    """Say whether a key, an item or an instruction begins at a column."""
    before, after = line[: column - 1], line[column - 1 :]
    return bool(after.strip()) and (not before or before[-1] in " -[{,\t")


def is_about(finding: Finding, text: str) -> bool:
    """Say whether a text holds a step of a finding's path, or what it names."""
    named = [*finding.path.split("."), *re.findall(r"[\w-]{4,}", finding.message)]
    return any(one and one in text for one in named)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_position_holds_what_the_finding_is_about(case: Case, tmp_path: Path) -> None:
    """Line and column begin a word, and the text there is of the finding's path."""
    for finding in check_all(recorded_subjects(case, tmp_path)):
        if finding.file not in case.files:
            continue
        lines = case.files[finding.file].splitlines()
        assert 1 <= finding.line <= len(lines), finding
        line = lines[finding.line - 1]
        if finding.file.endswith(("yml", "yaml")) and finding.path:
            here = "\n".join(lines[finding.line - 1 : finding.line + 1])
            assert begins_a_word(line, finding.column), (finding, line)
            assert is_about(finding, here) or "${" in here, (finding, here)


BASE = """\
services:
  template:
    image: example/base:1
    environment:
      - MODE=a
"""
MIDDLE = """\
services:
  middle:
    extends: {file: base.yml, service: template}
    command: [serve]
"""
TOP = """\
x-env: &env
  SHARED: one
services:
  top:
    extends: {file: middle.yml, service: middle}
    environment:
      <<: *env
      OWN: two
"""


def documents(folder: Path) -> tuple[Document, ...]:
    for name, text in (("base", BASE), ("middle", MIDDLE), ("top", TOP)):
        (folder / f"{name}.yml").write_text(text)
    return read_all([folder / "top.yml"])


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("image",), ("base.yml", 3, 5)),
        (("environment", "MODE"), ("base.yml", 5, 9)),
        (("command",), ("middle.yml", 4, 5)),
        (("environment", "OWN"), ("top.yml", 8, 7)),
        (("environment", "SHARED"), ("top.yml", 2, 3)),
        (("healthcheck",), ("top.yml", 4, 3)),
    ],
)
def test_extended_settings_are_found_where_they_are_written(
    path: tuple[str, ...], place: tuple[str, int, int], tmp_path: Path
) -> None:
    """What comes by `extends` or an anchor is found in the file that writes it."""
    found = position(documents(tmp_path), ("services", "top", *path))

    assert (found.file.name, found.line, found.column) == place
