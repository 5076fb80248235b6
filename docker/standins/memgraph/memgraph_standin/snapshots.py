"""Snapshot files: a head with the count, then one record for each node."""

import json
from pathlib import Path
from typing import Any

from standin_wire.durable import frame, records, replace_file

from memgraph_standin.graph import Graph, Node


class StorageError(Exception):
    """A query or a start that the files do not allow; the text is for the user."""


def write_snapshot(path: Path, graph: Graph, timestamp: int) -> None:
    """Write the whole graph; the file exists only when it is complete."""
    head = json.dumps({"timestamp": timestamp, "nodes": graph.count()})
    body = b"".join(frame(node) for node in graph.nodes)
    replace_file(path, frame(head.encode()) + body)


def load_snapshot(path: Path) -> tuple[Graph, int]:
    """Read a graph and its timestamp. Raises StorageError."""
    graph = Graph()
    try:
        with path.open("rb") as stream:
            found = (payload for _, payload in records(stream))
            head: dict[str, Any] = json.loads(next(found, b"{}"))
            for data in found:
                graph.add(data, Node.decoded(data).labels)
    except (OSError, ValueError) as error:
        raise StorageError(f"Could not read the snapshot {path}: {error}") from error
    if head.get("nodes") != graph.count():
        raise StorageError(f"The snapshot {path} is damaged or cut short.")
    return graph, head["timestamp"]


def move_to_old(folder: Path) -> None:
    """Move the files of *folder* to its `.old`, in place of what was there."""
    old = folder / ".old"
    old.mkdir(mode=0o750, exist_ok=True)
    for path in [*old.iterdir()]:
        path.unlink()
    for path in [*folder.iterdir()]:
        if path.is_file():
            path.rename(old / path.name)


def is_snapshot(path: Path) -> bool:
    """Tell whether this is a finished snapshot."""
    return path.is_file() and path.name.rpartition("_timestamp_")[2].isdecimal()


def timestamp_of(path: Path) -> int:
    """Return the timestamp in the name of a snapshot."""
    return int(path.name.rpartition("_")[2])
