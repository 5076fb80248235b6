"""`invoke lint`: what it prints, and how it ends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from lint_cases import HERE, folder_case
from repository import ROOT

KEYS = {"rule", "severity", "file", "line", "message"}
RAILS = HERE / "shapes/rails/docker-compose.yml"


def lint(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run `invoke lint WORDS`."""
    return subprocess.run(
        [sys.executable, "-m", "invoke", "lint", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.compose
def test_json_is_one_object_of_findings() -> None:
    """Findings of another project's file are printed as one object, and end with 11."""
    done = lint("--file", str(RAILS), "--json", "--fail-on", "warning")
    printed = json.loads(done.stdout)

    assert done.returncode == 11
    assert printed["schema"] == 1
    assert printed.keys() >= {"findings", "accepted", "summary", "skipped"}
    assert printed["findings"]
    assert all(finding.keys() >= KEYS for finding in printed["findings"])
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.compose
def test_rule_asks_only_that_rule() -> None:
    """With --rule only that rule is asked."""
    done = lint("--file", str(RAILS), "--rule", "image-unpinned", "--json")

    rules = [finding["rule"] for finding in json.loads(done.stdout)["findings"]]
    assert rules == ["image-unpinned"]


@pytest.mark.compose
def test_files_are_judged_together(tmp_path: Path) -> None:
    """Two files are merged as `-f` does, so an override counts as it works."""
    folder_case(HERE / "corpus/ports-opened-by-override").write(tmp_path)
    base, dev = str(tmp_path / "compose.yml"), str(tmp_path / "compose.dev.yml")

    alone, both = lint("--file", base), lint("--file", base, "--file", dev)

    assert (alone.returncode, both.returncode) == (11, 0)
    assert "[ports-on-internal]" in alone.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--rule", "no-such-rule"), 2),
        (("--file", "/nowhere/compose.yml"), 3),
        (("--file", str(HERE / "test_command.py")), 3),
    ],
)
def test_bad_input_gets_two_lines_and_its_code(
    words: tuple[str, ...], code: int
) -> None:
    """An unknown rule or file is named, with a hint, before docker is asked."""
    done = lint(*words)

    assert done.returncode == code
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == [
        "error",
        "hint",
    ]
