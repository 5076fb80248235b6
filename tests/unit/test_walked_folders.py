"""Folders that others are changing while doctor looks through them."""

import shutil
from pathlib import Path

from compose_ops.doctor.facts.folders import below


def test_what_vanishes_is_passed_over_and_the_rest_is_seen(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    found = below(tmp_path)
    first, _ = next(found)
    gone, stays = (p for p in sorted(tmp_path.iterdir()) if p != first)
    shutil.rmtree(gone)

    rest = {path for path, _ in found}

    assert rest == {stays, first / "file", stays / "file"}


def test_links_are_links(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "dangling").symlink_to("nowhere")

    assert {path.name for path, _ in below(tmp_path)} == {"loop", "dangling"}
