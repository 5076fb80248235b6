"""Where sets of a project were written besides the checkout's own folder."""

import json
from collections.abc import Iterator
from pathlib import Path

from compose_ops.project.env_file import write_private
from compose_ops.project.paths import BACKUPS

FILE = "destinations.json"


def known(root: Path, state: Path) -> tuple[Path, ...]:
    """Return the folders where a project's sets may lie, the checkout's own first."""
    return tuple(dict.fromkeys((root / BACKUPS, *_remembered(state))))


def remember(root: Path, state: Path, dest: Path) -> None:
    """Keep in mind that a set was written to *dest*."""
    if dest in known(root, state):
        return
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    names = [str(path) for path in (*_remembered(state), dest)]
    write_private(state / FILE, json.dumps(names) + "\n")


def _remembered(state: Path) -> Iterator[Path]:
    try:
        names = json.loads((state / FILE).read_text())
    except (OSError, ValueError):
        return
    yield from map(Path, names if isinstance(names, list) else ())
