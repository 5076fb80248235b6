"""
`nox -s lint`, warm, against what it cannot do without.

    python benchmarks/lint/run.py [--pairs N]

The rival is one `docker compose config` per combination, ruff and mypy. Needs docker's
client with Compose; where an engine answers, local images are asked as well.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from pairs import command, compare  # noqa: E402

from compose_ops.library.linting import combined  # noqa: E402
from compose_ops.library.opening import Selection, find  # noqa: E402
from compose_ops.lint.loader import Combination  # noqa: E402
from compose_ops.project.paths import ENV_EXAMPLE  # noqa: E402

COMBINATIONS = combined(find(Selection(ROOT)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    pairs = parser.parse_args().pairs
    lint = [sys.executable, "-m", "nox", "--no-color", "--session", "lint"]
    found = compare(command(lint, cwd=ROOT), least, pairs=pairs)
    name = f"nox -s lint / {len(COMBINATIONS)} x compose config + ruff + mypy"
    print(found.line(name, "10"))


def least() -> None:
    """Run what every linter of this project has to run, one after the other."""
    for combination in COMBINATIONS:
        ran(config(combination))
    ran([sys.executable, "-m", "ruff", "check", "."])
    ran([sys.executable, "-m", "mypy"])


def config(combination: Combination) -> list[str]:
    words = ["docker", "compose", "--project-directory", str(ROOT)]
    words += ["--env-file", str(ROOT / ENV_EXAMPLE)]
    words += [word for file in combination.files for word in ("-f", str(file))]
    return [*words, "config", "--quiet"]


def ran(words: list[str]) -> None:
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)


if __name__ == "__main__":
    main()
