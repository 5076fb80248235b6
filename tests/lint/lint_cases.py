"""
The linter's cases: small sets of files, and where a rule should find something in them.

A case is a folder of `corpus/`, or one half of a rule's example, a text of parts headed
`=== fails: NAME` and `=== passes: NAME`. A line that says `# expect: RULE, …` expects
findings of those rules on itself, or on the next line when it says nothing else; in an
example `# here` stands for the rule's own name.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from compose_ops.lint import LintTarget, composefile
from compose_ops.lint.loader import Combination, assemble
from compose_ops.lint.tolerant_config import Merged

HERE = Path(__file__).parent
RECORD = HERE / "recorded.json"
EXAMPLES = HERE.parent.parent / "compose_ops/lint/examples"
FOLDER = "${FOLDER}"
MARK = re.compile(r"#\s*expect:\s*([\w, -]+)$")

Expected = set[tuple[str, int, str]]


@dataclass(frozen=True, slots=True)
class Case:
    """Files by name, and the combinations of compose files that they form."""

    name: str
    files: Mapping[str, str]

    @property
    def combinations(self) -> dict[str, list[str]]:
        listed = self.files.get("combinations", "")
        if listed:
            pairs = (line.partition(":") for line in listed.splitlines())
            return {name: files.split() for name, _, files in pairs}
        names = [n for n in self.files if re.fullmatch(r"(docker-)?compose[\w.-]*", n)]
        return {"case": sorted(names, key=lambda name: (name.count("."), name))}

    @property
    def key(self) -> str:
        """Return what the record knows the case by: its files."""
        return sha256(json.dumps(dict(self.files)).encode()).hexdigest()[:20]

    def expected(self) -> Expected:
        """Return file, line and rule of every finding that the marks expect."""
        found: Expected = set()
        for name, text in self.files.items():
            for number, line in enumerate(text.splitlines(), 1):
                match = MARK.search(line)
                if match:
                    alone = line.strip().startswith("#")
                    rules = (rule.strip() for rule in match[1].split(","))
                    found |= {(name, number + alone, rule) for rule in rules}
        return found

    def write(self, folder: Path) -> list[Combination]:
        """Write the files to a folder and return the combinations there."""
        for name, text in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return [
            Combination(name, tuple(folder / file for file in files))
            for name, files in self.combinations.items()
        ]


def folder_case(folder: Path) -> Case:
    """Read a case from a folder."""
    files = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return Case(folder.name, files)


def folder_cases(name: str) -> list[Case]:
    """Read every case of a folder of folders."""
    return [folder_case(path) for path in sorted((HERE / name).iterdir())]


def example_cases() -> list[tuple[str, Case, Case]]:
    """Return each rule's id with its failing and its passing example."""
    return [example(path) for path in sorted(EXAMPLES.glob("*.txt"))]


def example(path: Path) -> tuple[str, Case, Case]:
    from compose_ops.lint.reference import parts

    text = path.read_text(encoding="utf-8").replace("# here", f"# expect: {path.stem}")
    halves: dict[str, dict[str, str]] = {"fails": {}, "passes": {}}
    for half, name, body in parts(text):
        halves[half][name] = body
    failing, passing = (Case(f"{path.stem}-{h}", halves[h]) for h in halves)
    return path.stem, failing, passing


def recorded_subjects(case: Case, folder: Path) -> tuple[LintTarget, ...]:
    """Return the case's subjects with the models that Compose gave when recorded."""
    combinations = case.write(folder)
    answers = _record().get(case.key)
    if answers is None:
        raise LookupError(
            f"{case.name} changed: run PYTHONPATH=. python tests/lint/lint_record.py"
        )
    text = json.dumps(answers).replace(FOLDER, str(folder))
    models = [
        Merged(
            one["model"],
            tuple((tuple(p), words) for p, words in one["refusals"]),
            frozenset(one["unset"]),
            one["placeholders"],
        )
        for one in json.loads(text)
    ]
    read = [composefile.read_all(one.files) for one in combinations]
    made = assemble(combinations, read, models, root=folder)
    return tuple(replace(one, start_timeout=300.0) for one in made)


def _record() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return found
