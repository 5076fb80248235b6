"""
Holds docs/deviations.yml against what the guide says and what the project has.

    python tests/contract/deviations.py

prints the counts: settings kept, declared per kind and ring, undeclared.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[n]) for n in (1, 2)]

from compose_models import (
    Combination,
    canonical,
    combinations,
    guide_values,
    written_values,
)
from differences import (
    ABSENT,
    Difference,
    file_differences,
    matches,
    model_differences,
)
from guide_blocks import ORDINAL, Setting, written
from guide_coverage import load_table
from ledger import KINDS, RINGS, Entry, load_entries, missing_proofs
from plain_files import plain_values
from repository import ROOT

RULE = "rule: "
INSTRUCTION = re.compile(r"^[\w-]+/[A-Z]+\b")


@dataclass(slots=True)
class Findings:
    """What the comparison found."""

    kept: list[Setting] = field(default_factory=list)
    declared: dict[str, list[Setting]] = field(default_factory=dict)
    undeclared: list[Difference] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)


def compare(root: Path = ROOT, chosen: list[Combination] | None = None) -> Findings:
    """
    Hold every setting and every addition of *root* against its ledger.

    *chosen* are the combinations to look at, all that there are where none are given.
    """
    entries = load_entries(root)
    chosen = combinations(root) if chosen is None else chosen
    differences = [
        *model_differences(root, chosen, _added(entries)),
        *file_differences(root),
    ]
    wanted = _expectations(entries, root)
    findings, used = Findings(), set[tuple[str, str]]()
    declared: dict[tuple[str, str, str], str] = {}
    for difference in differences:
        covering = [
            (entry, at)
            for entry in entries
            for at, guide, here in zip(
                entry.at, entry.guide, wanted[entry.id], strict=True
            )
            if _concerns(entry, at, guide, difference)
            and _agrees(entry, here, difference)
        ]
        used.update((entry.id, at) for entry, at in covering)
        if not covering:
            findings.undeclared.append(difference)
        elif difference.row and _at_home(difference):
            entry = covering[0][0]
            declared.setdefault(difference.row.place, f"{entry.kind}/{entry.ring}")
    undeclared = {one.row.place for one in findings.undeclared if one.row}
    for row in load_table():
        if row.place in declared:
            findings.declared.setdefault(declared[row.place], []).append(row)
        elif row.place not in undeclared:
            findings.kept.append(row)
    findings.stale = [*_stale(entries, used, root), *_misquoted(entries)]
    return findings


def _added(entries: list[Entry]) -> list[str]:
    return [at for entry in entries if entry.kind == "added" for at in entry.at]


def _expectations(entries: list[Entry], root: Path) -> dict[str, list[Any]]:
    """Return, per entry and place, `here` as Compose would print it."""
    literal = [
        Setting(entry.id, entry.file, at, here)
        for entry in entries
        if entry.file.endswith((".yml", ".example"))
        and entry.kind in {"changed", "added"}
        for at, here in zip(entry.at, entry.here, strict=True)
        if _is_literal(at, here)
    ]
    printed: dict[tuple[str, str], Any] = {}
    with TemporaryDirectory() as folder:
        for file in {row.file for row in literal}:
            rows = [row for row in literal if row.file == file]
            values = guide_values(rows, Path(folder), root)
            printed |= {
                (row.section, row.path): value
                for row, value in zip(rows, values, strict=True)
            }
    return {
        entry.id: [
            printed.get((entry.id, at), here)
            for at, here in zip(entry.at, entry.here, strict=True)
        ]
        for entry in entries
    }


def _is_literal(at: str, here: Any) -> bool:
    ruled = isinstance(here, str) and here.startswith(RULE)
    return not ruled and "*" not in at and not isinstance(here, dict)


def _concerns(entry: Entry, at: str, guide: Any, difference: Difference) -> bool:
    if entry.file not in difference.files:
        return False
    if (entry.kind == "added") != (difference.row is None):
        return False
    if "*" not in at and difference.row and written(guide) != difference.row.text:
        return False
    return matches(_place(at), _place(difference.path))


def _agrees(entry: Entry, here: Any, difference: Difference) -> bool:
    actual = written(difference.actual)
    if entry.kind in {"dropped", "moved"}:
        return actual == ABSENT
    if isinstance(here, dict) and isinstance(difference.guide, dict):
        return bool(difference.actual == {**difference.guide, **here})
    if isinstance(here, str) and here.startswith(RULE):
        return True
    if not difference.files[0].endswith(".yml"):
        return entry.kind == "changed" or actual == written(here)
    return actual == written(here) or (
        entry.kind == "added" and actual in {ABSENT, "null"}
    )


def _place(at: str) -> str:
    return ORDINAL.sub("", at) if INSTRUCTION.match(at) else canonical(at)


def _at_home(difference: Difference) -> bool:
    row = difference.row
    if row is None or len(difference.files) == 1:
        return True
    return difference.files[1:] == (row.file,)


def _stale(
    entries: list[Entry], used: set[tuple[str, str]], root: Path
) -> Iterator[str]:
    for entry in entries:
        for at, here in zip(entry.at, entry.here, strict=True):
            if entry.kind == "moved" and not _stands(root, str(here)):
                yield f"{entry.id}: {here} is not where the ledger says"
            if entry.file.endswith("Dockerfile") and here is not None:
                texts = {text for _, text in plain_values(root, entry.file)}
                if not {written(one) for one in _listed(here)} <= texts:
                    yield f"{entry.id}: {entry.file} has no {written(here)}"
            if isinstance(here, str) and "${" in here and entry.file.endswith(".yml"):
                raw = written_values(root / entry.file)
                if "*" not in at and raw.get(canonical(at)) != here:
                    yield f"{entry.id}: {at} is not written {here}"
                used.add((entry.id, at))
            if (entry.id, at) not in used:
                yield f"{entry.id}: {at} differs nowhere as declared"


def _listed(here: Any) -> list[Any]:
    return here if isinstance(here, list) else [here]


def _stands(root: Path, here: str) -> bool:
    file, _, path = here.partition(" ")
    if not (root / file).is_file():
        return False
    return not path or canonical(path) in written_values(root / file)


def _misquoted(entries: list[Entry]) -> Iterator[str]:
    said: dict[tuple[str, str], set[str]] = {}
    for row in load_table():
        said.setdefault((row.file, row.path), set()).add(row.text)
        said.setdefault(("", row.path), set()).add(row.text)
    for entry in entries:
        for at, guide in zip(entry.at, entry.guide, strict=True):
            if "*" in at or entry.kind == "added":
                continue
            if written(guide) not in said.get(("", at), set()):
                yield f"{entry.id}: the guide does not say {written(guide)} at {at}"


def report(root: Path = ROOT) -> dict[str, Any]:
    """Return the counts that a reader of the ledger asks for."""
    findings, entries = compare(root), load_entries(root)
    return {
        "settings": len(load_table()),
        "kept": len(findings.kept),
        "declared": {key: len(rows) for key, rows in sorted(findings.declared.items())},
        "entries": {
            f"{kind}/{ring}": count
            for kind in sorted(KINDS)
            for ring in sorted(RINGS)
            if (count := sum(e.kind == kind and e.ring == ring for e in entries))
        },
        "undeclared": [str(difference) for difference in findings.undeclared],
        "stale": findings.stale,
        "missing_proofs": missing_proofs(entries, root),
    }


if __name__ == "__main__":
    print(json.dumps(report(), indent=2))  # noqa: T201
