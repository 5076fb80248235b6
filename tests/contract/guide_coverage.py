"""
Settings that a guide's fenced blocks hold and the table of facts lacks.

    python tests/contract/guide_coverage.py FILE [--list]

Reads yaml, dockerfile, bash and file-tree blocks. Exit status: 0 nothing lacks,
1 settings lack, 2 the file or one of its blocks cannot be read.
"""

# ruff: noqa: T201 (a command that prints)

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from guide_blocks import Setting, flatten, load_yaml, parse_guide

TABLE = Path(__file__).with_name("guide_settings.yml")


def load_table(text: str | None = None) -> list[Setting]:
    """Return the settings of the table of facts (of *text* where it is given)."""
    groups = load_yaml(TABLE.read_text(encoding="utf-8") if text is None else text)
    return [
        Setting(group["section"], group["file"], path, value)
        for group in groups
        for key, whole in group["settings"].items()
        for path, value in _rows(key, whole)
    ]


def missing(found: list[Setting], table: list[Setting]) -> list[Setting]:
    """Return the settings of *found* that *table* has not, value for value."""
    anywhere = {row.key for row in table}
    in_file = {(row.file, *row.key) for row in table}
    return [
        row
        for row in found
        if row.key not in anywhere or (row.file and (row.file, *row.key) not in in_file)
    ]


def _rows(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    yield from flatten(value, key) if isinstance(value, list) else [(key, value)]


def main(arguments: list[str] | None = None) -> int:
    """Print what the table lacks of the guide named on the command line."""
    parser = argparse.ArgumentParser(
        description="Hold a guide against the table of facts."
    )
    parser.add_argument("file", type=Path, help="the guide, Markdown")
    parser.add_argument("--list", action="store_true", help="print every setting read")
    options = parser.parse_args(arguments)
    try:
        guide = options.file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        print(f"error: {options.file} cannot be read: {error}", file=sys.stderr)
        return 2
    found, unreadable = parse_guide(guide)
    lacking = missing(found, load_table())
    for row in found if options.list else lacking:
        print(f"{row.section}: {row.file or '-'}: {row.path} = {row.text}")
    for line in unreadable:
        print(f"unreadable: {line}")
    print(f"{len(found)} settings parsed, {len(lacking)} missing")
    return 2 if unreadable else int(bool(lacking))


if __name__ == "__main__":
    sys.exit(main())
