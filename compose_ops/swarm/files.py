"""What files and folders of this machine hold, for the configs and secrets of Swarm."""

import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from compose_ops.project.model import Model
from compose_ops.state import store
from compose_ops.swarm.stackfile import Source, SourceFile

LARGEST = 500 * 1024
"""Bytes that Swarm takes as one secret or config."""
MOST_FILES = 200
SKIPPED = {"__pycache__", ".git"}

Mark = Callable[[bytes], str]


def collect(model: Model, mark: Mark, scratch: Path) -> dict[str, Source]:
    """
    Return what the files and folders hold that services mount read-only, by path.

    The files of secrets and configs are among them; *mark* makes the fingerprint of
    what one holds. *scratch* is a folder for what has no file of its own: the contents
    of configs that stand in the compose files, and empty files, which Swarm refuses.
    Nothing is raised for what cannot be read: the `Source` says why.
    """
    reader = _Reader(mark, scratch)
    found = {path: reader.source(Path(path)) for path in sorted(set(_paths(model)))}
    for name, config in (model.raw.get("configs") or {}).items():
        if "content" in (config or {}):
            text = str(config["content"]).replace("$$", "$")
            path = reader.written(text.encode())
            found[f"configs.{name}.content"] = Source((reader.file(path, ""),))
    return found


def _paths(model: Model) -> Iterator[str]:
    for name in model.services:
        for mount in model.service(name).get("volumes") or ():
            if mount.get("type") == "bind" and mount.get("read_only"):
                yield str(mount["source"])
    for kind in ("secrets", "configs"):
        stated: Mapping[str, Any] = model.raw.get(kind) or {}
        for held in stated.values():
            if (held or {}).get("file"):
                yield str(held["file"])


class _Reader:
    def __init__(self, mark: Mark, scratch: Path) -> None:
        self.mark = mark
        self.scratch = scratch

    def source(self, path: Path) -> Source:
        """Return what a path holds, or why Swarm cannot have it."""
        try:
            if path.is_file():
                return Source((self.file(path, ""),))
            if not path.is_dir():
                there = "no file and no folder" if path.exists() else "not there"
                return Source(problem=f"it is {there}")
            return self.folder(path)
        except (OSError, ValueError) as refused:
            words = getattr(refused, "strerror", None) or str(refused)
            return Source(problem=words)

    def folder(self, path: Path) -> Source:
        inside = sorted(path.rglob("*"))
        files = [p for p in inside if p.is_file() and not _is_skipped(p, path)]
        if len(files) > MOST_FILES:
            return Source(
                problem=f"it holds {len(files)} files, more than {MOST_FILES}: "
                "put them into the image"
            )
        skipped = sorted({n for p in inside for n in SKIPPED if n in p.parts})
        empty = [p for p in inside if p.is_dir() and not any(p.iterdir())]
        left = [*skipped, *(str(p.relative_to(path)) for p in empty)]
        return Source(
            tuple(self.file(p, str(p.relative_to(path))) for p in files),
            left_out=f"without {', '.join(left)}" if left else "",
        )

    def file(self, path: Path, inner: str) -> SourceFile:
        data, facts = path.read_bytes(), path.stat()
        if len(data) > LARGEST:
            raise ValueError(
                f"{path.name} has {len(data)} bytes, Swarm takes {LARGEST}: "
                "put it into the image"
            )
        return SourceFile(
            path=path if data else self.written(b"\n"),
            inner=inner,
            mark=self.mark(data),
            mode=stat.S_IMODE(facts.st_mode),
            uid=facts.st_uid,
            gid=facts.st_gid,
        )

    def written(self, data: bytes) -> Path:
        """Return a file of ours with *data*, named by its fingerprint."""
        path = self.scratch / self.mark(data)
        if not path.exists():
            store.make_folder(self.scratch)
            store.write(path, data.decode())
        return path


def _is_skipped(path: Path, folder: Path) -> bool:
    return bool(SKIPPED.intersection(path.relative_to(folder).parts))
