"""Every task as a collection for a project's `tasks.py`, or for `compose-ops`."""

import re
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from invoke.collection import Collection

from compose_ops.cli import tasks
from compose_ops.cli.definition import Definition
from compose_ops.project.paths import CONFIG_FILE

_MODE = re.compile(r"""^\s*\[modes\.["']?([\w-]+)""", re.MULTILINE)

DEFINITIONS = {
    one.name: one for one in vars(tasks).values() if isinstance(one, Definition)
}


def collection(
    *, include: Iterable[str] = (), exclude: Iterable[str] = ()
) -> Collection:
    """
    Return the tasks, those of *include* or all, without those of *exclude*.

    Each mode of the nearest `compose-ops.toml`, upwards from the current folder, is a
    flag of the tasks that take a mode. Raises ValueError for a name that no task has.

    >>> from compose_ops import tasks
    >>> ns = tasks.collection(exclude=["gpu-check"])
    """
    chosen, without = tuple(include), set(exclude)
    for name in (*chosen, *without):
        if name not in DEFINITIONS:
            near = get_close_matches(name, DEFINITIONS, n=1)
            more = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"there is no task {name!r}{more}")
    modes = mode_names(Path.cwd())
    return Collection(
        *(
            definition.make(modes)
            for name, definition in DEFINITIONS.items()
            if name in (chosen or DEFINITIONS) and name not in without
        )
    )


def mode_names(start: Path) -> dict[str, str]:
    """
    Return the modes of the nearest `compose-ops.toml` with what `--help` says of each.

    Of a file that cannot be read the names count all the same: the task says what is
    wrong with it.
    """
    files = (folder / CONFIG_FILE for folder in (start, *start.parents))
    file = next((path for path in files if path.is_file()), None)
    if file is None:
        return {}
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    try:
        tables = tomllib.loads(text).get("modes", {})
        return {name: str(one.get("description", "")) for name, one in tables.items()}
    except (ValueError, AttributeError):
        return dict.fromkeys(_MODE.findall(text), "")
