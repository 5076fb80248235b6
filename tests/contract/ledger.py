"""The ledger of deviations, docs/deviations.yml: its schema and its proofs."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guide_blocks import load_yaml
from repository import ROOT

LEDGER = "docs/deviations.yml"
KINDS = {"changed", "dropped", "moved", "added"}
RINGS = {"engine", "build", "resolver", "config", "real-image"}
FIELDS = {"id", "file", "kind", "at", "guide", "here", "why", "proof", "ring"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One declared deviation; `at`, `guide` and `here` run side by side."""

    id: str
    file: str
    kind: str
    at: tuple[str, ...]
    guide: tuple[Any, ...]
    here: tuple[Any, ...]
    why: str
    proof: str
    ring: str
    source: str = ""


def load_entries(root: Path = ROOT) -> list[Entry]:
    """Return the ledger; ValueError names an entry that breaks the schema."""
    entries = []
    for raw in load_yaml((root / LEDGER).read_text(encoding="utf-8")):
        keys = set(raw) - {"source"}
        if keys != FIELDS or raw["kind"] not in KINDS or raw["ring"] not in RINGS:
            raise ValueError(f"{raw.get('id')}: not the ledger's schema")
        if (raw["ring"] == "real-image") != bool(raw.get("source")):
            raise ValueError(f"{raw['id']}: a source belongs to ring real-image")
        many = isinstance(raw["at"], list)
        at = tuple(raw["at"]) if many else (raw["at"],)
        sides = {
            side: tuple(raw[side])
            if many and isinstance(raw[side], list)
            else (raw[side],) * len(at)
            for side in ("guide", "here")
        }
        if any(len(values) != len(at) for values in sides.values()):
            raise ValueError(f"{raw['id']}: at, guide and here differ in length")
        entries.append(Entry(**{**raw, **sides, "at": at}))
    return entries


def missing_proofs(entries: list[Entry], root: Path = ROOT) -> list[str]:
    """Return the proofs that name no test function of the project."""
    return [
        f"{entry.id}: {entry.proof}"
        for entry in entries
        if not _has_test(root, *entry.proof.partition("::")[::2])
    ]


def _has_test(root: Path, file: str, name: str) -> bool:
    path = root / file
    if not path.is_file() or not name.startswith("test_"):
        return False
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(getattr(node, "name", "") == name for node in ast.walk(tree))
