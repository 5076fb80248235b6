"""
`invoke --list` against an empty tasks.py, and a no-op `up` against raw Compose.

    python benchmarks/tasks/run.py [--pairs N]

Needs an engine; starts the offline stores in a checkout of its own, and removes them.
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests" / "e2e")]

from e2e_scenario import Scenario, created  # noqa: E402
from pairs import command, compare  # noqa: E402

# invoke ends with an error where there is no task at all, so the rival has one.
EMPTY = """
from invoke.tasks import task

@task
def nothing(c):
    pass
"""
FILES = ("docker-compose.yml", "docker/overlays/offline.yml")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as folder:
        print(listing(Path(folder), pairs))
    with tempfile.TemporaryDirectory() as folder:
        Scenario.prepare_images()
        scenario = created(Path(folder))
        try:
            print(no_op(scenario, pairs))
        finally:
            scenario.remove()


def listing(empty: Path, pairs: int) -> str:
    """Compare `invoke --list` here and in a folder with an empty collection."""
    (empty / "tasks.py").write_text(EMPTY)
    words = [sys.executable, "-m", "invoke", "--list"]
    found = compare(command(words, cwd=ROOT), command(words, cwd=empty), pairs=pairs)
    return found.line("invoke --list / the same with an empty tasks.py", "1.25")


def no_op(scenario: Scenario, pairs: int) -> str:
    """Compare a no-op `up` of the whole offline stack with Compose's own."""
    scenario.invoke("up", "--offline", timeout=600)
    environment = scenario.environment()
    files = [word for file in FILES for word in ("-f", file)]
    raw = ["docker", "compose", *files, "up", "-d", "--wait"]
    task = scenario.command("up")
    found = compare(
        command(task, cwd=scenario.root, env=environment),
        command(raw, cwd=scenario.root, env=environment),
        pairs=pairs,
    )
    return found.line("no-op invoke up / docker compose up -d --wait", "2.0")


if __name__ == "__main__":
    main()
