"""
`invoke doctor` on a running stack against five `docker info` and a `compose config`.

    python benchmarks/doctor/run.py [--pairs N]

Needs an engine; starts the offline stack in a checkout of its own, and removes it.
Times the whole process, and then the examination without the interpreter's start.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests" / "e2e")]

from e2e_scenario import Scenario, created  # noqa: E402
from pairs import command, compare, spent, timed  # noqa: E402

FILES = ("docker-compose.yml", "docker/overlays/offline.yml")
INFOS = 5
REACH = f"1.0, that is {INFOS} docker info + 1 compose config"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as folder:
        Scenario.prepare_images()
        scenario = created(Path(folder))
        try:
            scenario.invoke("up", "--offline", timeout=600)
            measure(scenario, pairs)
        finally:
            scenario.remove()


def measure(scenario: Scenario, pairs: int) -> None:
    """Print the ratio of doctor to its budget, and what the start of invoke costs."""
    files = [word for file in FILES for word in ("-f", file)]
    where = {"cwd": scenario.root, "env": scenario.environment()}
    info = command(["docker", "info"], **where)
    config = command(["docker", "compose", *files, "config"], **where)
    doctor = command(scenario.command("doctor"), **where)

    def budget() -> None:
        for _ in range(INFOS):
            info()
        config()

    found = compare(doctor, budget, pairs=pairs)
    print(found.line("invoke doctor / its budget", REACH))
    ours = min(spent(doctor) for _ in range(pairs))
    share = ours / min(spent(budget) for _ in range(pairs))
    print(f"the same in processor time, least of {pairs}: ratio {share:.2f}")
    wider = sorted(found.rivals)[pairs // 2] + (INFOS - 1) * min(
        timed(config) for _ in range(pairs)
    )
    share = sorted(found.ours)[pairs // 2] / wider
    print(f"against {INFOS} of both, docker info and compose config: ratio {share:.2f}")
    bare = command(scenario.command("--version"), **where)
    start = min(timed(bare) for _ in range(pairs))
    share = (sorted(found.ours)[pairs // 2] - start) / sorted(found.rivals)[pairs // 2]
    print(f"without the start of invoke itself ({start:.3f} s): ratio {share:.2f}")


if __name__ == "__main__":
    subprocess.run(["docker", "info"], check=True, capture_output=True)
    main()
