"""The hook and the workflow that docs/lint.md shows: their files, flags and a clone."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from repository import ROOT

HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs/lint.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("compose.yml", True),
        ("deploy/docker-compose.prod.yaml", True),
        ("app/Dockerfile", True),
        ("app/web.Dockerfile", True),
        ("Dockerfile.dev", True),
        (".env.example", True),
        ("app/.dockerignore", True),
        ("src/composer.json", False),
        ("docs/dockerfile.md", False),
        ("main.py", False),
    ],
)
def test_hook_runs_for_what_the_linter_reads(name: str, wanted: bool) -> None:  # noqa: FBT001 - a table
    (hook,) = HOOKS

    assert bool(re.search(hook["files"], name)) is wanted


def test_flags_of_the_page_are_flags_of_the_task() -> None:
    """Each flag that the page's commands use is one that the task has."""
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "--help", "lint"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    shown = "\n".join(re.findall(r"compose-ops lint.*", PAGE)) + HOOKS[0]["entry"]
    used = set(re.findall(r"--[a-z-]+", shown)) | set(re.findall(r"`(--[a-z-]+)", PAGE))

    assert used
    assert used - set(re.findall(r"--[a-z-]+", done.stdout)) == set()


@pytest.mark.compose
def test_a_clone_is_clean_and_says_so_in_each_format(tmp_path: Path) -> None:
    """In a fresh clone, without files that are ignored, nothing fails."""
    words = ["git", "clone", "--quiet", "--shared", str(ROOT), str(tmp_path / "clone")]
    subprocess.run(words, check=True, timeout=60, capture_output=True)
    done = subprocess.run(
        [sys.executable, "-m", "compose_ops", "lint", "--format", "github"],
        cwd=tmp_path / "clone",
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
