"""The linters on a copy of the checkout, and the record against Compose itself."""

import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from lint_cases import RECORD
from lint_record import all_cases, ask
from repository import ROOT

pytestmark = pytest.mark.compose

# (rule, file, text there, text instead)
FAULTS = (
    ("daemonises", "docker/services/ray/Dockerfile", ', "--block"]', "]"),
    (
        "health-shell-operators",
        "docker-compose.yml",
        '["CMD-SHELL", "echo \'MATCH (n) RETURN n LIMIT 1;\' | mgconsole || exit 1"]',
        '["CMD", "echo", "MATCH (n) RETURN n LIMIT 1;", "|", "mgconsole"]',
    ),
    (
        "no-common-network",
        "docker-compose.yml",
        "      - frontend_network\n      - backend_network\n      - data_network\n",
        "      - frontend_network\n      - backend_network\n",
    ),
)


def test_record_is_what_compose_says(pytestconfig: pytest.Config) -> None:
    """
    A recorded model is what Compose prints for the case today: every one with --all.

    An eighth of them is enough to see that the record is not of another version.
    """
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    cases = all_cases()
    assert {case.key for case in cases} == recorded.keys()
    if not pytestconfig.getoption("--all"):
        cases = cases[::8]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(ask, cases))

    now = {case.key: answer for case, answer in zip(cases, answers, strict=True)}
    assert comparable(now) == comparable({key: recorded[key] for key in now})


def comparable(record: dict[str, Any]) -> dict[str, Any]:
    """
    Return a record without what Compose says otherwise from time to time.

    Of like services that cannot be extended it names one, and it prints ports, mounts
    and secrets of a service in any order.
    """
    text = json.dumps(record)
    found: dict[str, Any] = json.loads(re.sub(r"(cannot extend .*?-)\d", r"\1N", text))
    return {key: _sorted(value) for key, value in found.items()}


def _sorted(value: Any) -> Any:
    """Sort lists of objects, at any depth; other lists keep their order."""
    if isinstance(value, dict):
        return {key: _sorted(one) for key, one in value.items()}
    if not isinstance(value, list):
        return value
    items = [_sorted(one) for one in value]
    return sorted(items, key=_text) if _are_objects(items) else items


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _are_objects(items: list[Any]) -> bool:
    return bool(items) and all(
        isinstance(one, dict) and "model" not in one for one in items
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the checkout, with the type checker's cache."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    if (ROOT / ".mypy_cache").is_dir():
        shutil.copytree(ROOT / ".mypy_cache", tmp_path / ".mypy_cache")
    return tmp_path


@pytest.mark.slow
def test_nox_lint_fails_on_faults_by_rule(copy: Path) -> None:
    """Three faults put into the files end `nox -s lint`, each named at its file."""
    for _, file, old, new in FAULTS:
        text = (copy / file).read_text(encoding="utf-8")
        assert old in text
        (copy / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "nox", "--no-color", "--session", "lint"],
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )

    assert done.returncode == 1, done.stderr
    named = {
        (rule, line.split(":")[0])
        for line in done.stdout.splitlines()
        for rule, *_ in FAULTS
        if line.endswith(f"[{rule}]")
    }
    assert named == {(rule, file) for rule, file, *_ in FAULTS}, done.stdout
