"""The nodes, and what a transaction adds to them."""

import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import Any


@dataclass(frozen=True, slots=True)
class Node:
    """A node: its labels and its properties."""

    labels: tuple[str, ...]
    properties: dict[str, Any]

    def encoded(self) -> bytes:
        """Return the node as it stands in a file and in memory: JSON, one line."""
        pair = [self.labels, self.properties]
        return json.dumps(pair, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def decoded(cls, data: bytes) -> "Node":
        """Return the node of `encoded`."""
        labels, properties = json.loads(data)
        return cls(tuple(labels), properties)


@dataclass(slots=True)
class Graph:
    """All committed nodes in the order of their ids, kept encoded: it is smaller."""

    nodes: list[bytes] = field(default_factory=list)
    by_label: Counter[str] = field(default_factory=Counter)

    def add(self, encoded: bytes, labels: tuple[str, ...]) -> None:
        """Add one committed node."""
        self.nodes.append(encoded)
        self.by_label.update(labels)

    def count(self, label: str | None = None) -> int:
        """Nodes with *label*, or all."""
        return len(self.nodes) if label is None else self.by_label[label]

    def matching(
        self,
        label: str | None,
        *,
        limit: int | None = None,
        properties: dict[str, Any] | None = None,
    ) -> list[tuple[int, Node]]:
        """Ids and nodes with *label*, or all, and *properties*; at most *limit*."""
        found = ((at, Node.decoded(data)) for at, data in enumerate(self.nodes))
        wanted = (pair for pair in found if label is None or label in pair[1].labels)
        fitting = (
            pair
            for pair in wanted
            if all(
                pair[1].properties.get(k) == v for k, v in (properties or {}).items()
            )
        )
        return list(islice(fitting, limit))
