"""Secrets and configs: named by what they hold, for Swarm changes none of them."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from compose_ops.swarm.stackfile import SourceFile
from compose_ops.swarm.work import Work

LONGEST_NAME = 64
MARK_LENGTH = 12
_UNNAMEABLE = re.compile(r"[^a-zA-Z0-9_.-]+")


def versioned(project: str, key: str, mark: str) -> str:
    """
    Return the name of a secret or config on the cluster.

    >>> versioned("shop", "db_password", "0a1b2c3d4e5f6071")
    'shop_db_password-0a1b2c3d4e5f'
    """
    end = f"-{mark[:MARK_LENGTH]}"
    return f"{project}_{slug(key)}"[: LONGEST_NAME - len(end)] + end


def slug(text: str) -> str:
    """Return *text* with the letters that Swarm's names may have."""
    return _UNNAMEABLE.sub("-", text).strip("-.")


def object_of(work: Work, kind: str, file: SourceFile) -> str:
    """Make a secret or a config of a mounted file; return its key in the file."""
    label = "-".join(file.path.parts[-2:])
    key = slug(f"{label[-30:]}-{file.mark[:MARK_LENGTH]}")
    name = versioned(work.model.project, label[-30:], file.mark)
    work.made[kind][key] = {"file": str(file.path), "name": name}
    return key


def file(work: Work, key: str, path: str) -> None:
    """Translate `file` of a secret or config at the top level."""
    source = work.sources.get(path)
    problem = "it was not read" if source is None else source.problem
    if source is None or problem:
        work.refuse(key, f"{path}: {problem}")
        return
    _named(work, source.files[0])


def content(work: Work, key: str, _text: str) -> None:
    """Translate `content` of a config: `files.collect` wrote it to a file."""
    _named(work, work.sources[key].files[0])


def mounted(kind: str) -> Callable[[Work, str, Any], None]:
    """Return the translation of a service's `secrets` or `configs`."""

    def translation(work: Work, _key: str, stated: Sequence[Mapping[str, Any]]) -> None:
        for mount in stated:
            mode = mount.get("mode")
            number = int(mode, 8) if isinstance(mode, str) else mode
            kept = {name: value for name, value in mount.items() if value is not None}
            work.add(kind, kept if mode is None else {**kept, "mode": number})

    return translation


def _named(work: Work, held: SourceFile) -> None:
    work.out["file"] = str(held.path)
    work.out["name"] = versioned(work.model.project, work.name, held.mark)
