"""Whom a unit of root's trusts: nobody else may write to what it runs and reads."""

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from compose_ops.errors import ConfigurationError

ROOT = 0
_OTHERS = stat.S_IWOTH | stat.S_IWGRP
MOST_SHOWN = 5


def check(paths: Iterable[Path], trees: Iterable[Path]) -> None:
    """
    Return when only root may write to *paths*, *trees* and the folders above them.

    Of *trees* everything below is meant as well. Links are followed, and the folders of
    their targets count too. Raises ConfigurationError, which names what others may
    write.
    """
    seen: dict[Path, str] = {}
    for path in paths:
        _follow(path, seen)
    for tree in trees:
        _follow(tree, seen)
        for entry in _below(tree):
            if entry.is_symlink():
                _follow(Path(entry.path), seen)
            elif fault := _judged(entry.stat(follow_symlinks=False)):
                seen[Path(entry.path)] = fault
    wrong = [f"{path}: {fault}" for path, fault in seen.items() if fault]
    if wrong:
        raise ConfigurationError(
            f"root would run what others may change: {wrong[0]}",
            hint="sudo chown -R root: and chmod -R go-w it, or let user under "
            "[schedule] of compose-ops.toml name who owns it",
            detail="\n".join(wrong[1:MOST_SHOWN]),
        )


def interpreter() -> list[Path]:
    """Return where the modules of this interpreter lie, without the current folder."""
    here = Path.cwd()
    places = [Path(text) for text in sys.path if text and Path(text) != here]
    package = Path(__file__).parents[1]
    return [place for place in (package, *places) if place.exists()]


def packages(folder: Path) -> list[Path]:
    """Return the folders directly in *folder* that a program there may import."""
    return [
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith(".") and any(path.glob("*.py"))
    ]


def _follow(path: Path, seen: dict[Path, str]) -> None:
    """Judge a path, every folder above it, and what links in it lead to."""
    here = Path(path.anchor or os.sep)
    parts = path.absolute().parts[1:]
    for number, part in enumerate(("", *parts)):
        here = here / part
        is_last = number == len(parts)
        if here in seen:
            continue
        seen[here] = _fault(here, is_above=not is_last)
        if here.is_symlink():
            target = here.readlink()
            _follow(Path(os.path.normpath(here.parent / target)), seen)


def _fault(path: Path, *, is_above: bool) -> str:
    """Say who else may write to *path*, "" where nobody may."""
    try:
        state = path.lstat()
    except OSError as refused:
        return refused.strerror or "it cannot be read"
    # In a sticky folder nobody renames or removes what is root's.
    is_safe = is_above and state.st_uid == ROOT and state.st_mode & stat.S_ISVTX
    return "" if is_safe else _judged(state)


def _judged(state: os.stat_result) -> str:
    if state.st_uid != ROOT:
        return f"it belongs to the user {state.st_uid}"
    if stat.S_ISLNK(state.st_mode):
        return ""
    open_to = state.st_mode & _OTHERS
    if state.st_gid == ROOT:
        open_to &= ~stat.S_IWGRP
    return (
        f"others may write to it (mode {state.st_mode & 0o7777:04o})" if open_to else ""
    )


def _below(tree: Path) -> Iterator["os.DirEntry[str]"]:
    """Yield what lies below a folder, links included, not what these lead to."""
    waiting = [os.path.realpath(tree)]
    while waiting:
        folder = waiting.pop()
        if not os.path.isdir(folder):  # noqa: PTH112 - a hundred thousand of them
            continue
        with os.scandir(folder) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
