"""Where sets of a project were written besides its own folder of sets."""

import json
from collections.abc import Iterator
from pathlib import Path

from compose_ops.project.env_file import write_private

FILE = "destinations.json"


def known(own: Path, state: Path) -> tuple[Path, ...]:
    """Return the folders where a project's sets may lie, its own folder first."""
    return tuple(dict.fromkeys((own, *_remembered(state))))


def remember(own: Path, state: Path, dest: Path) -> None:
    """Keep in mind that a set was written to *dest*."""
    if dest in known(own, state):
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
