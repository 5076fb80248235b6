"""The library is nobody's own: names of its first user stand in one file."""

from pathlib import Path

import pytest
from repository import ROOT

PACKAGE = ROOT / "compose_ops"
FILES = [
    path
    for path in sorted(PACKAGE.rglob("*"))
    if path.is_file() and "__pycache__" not in path.parts
]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_name_of_the_first_user_stands_in_one_file_only(path: Path) -> None:
    is_allowed = path == PACKAGE / "compat.toml"

    assert is_allowed or "jimbot" not in path.read_text(errors="replace").lower()
