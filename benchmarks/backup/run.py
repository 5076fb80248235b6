"""
`invoke backup` against the guide's command and against the least that can be done.

    python benchmarks/backup/run.py [--pairs 3] [--only VOLUME] [--backups-only]

Needs an engine, the offline base image, GNU tar and zstd, and root for the bare limit.
In turn, on the same volumes: the guide's `docker run … tar czf` with the helper image
in alpine's place; this project's backup with all that it checks; and `tar | zstd` of
the volume's folder. The volumes hold 600 MB, or 100,000 files of some size; half of
each file can be compressed. Also: how long the store is away, `tar xzf` against the
time that a restore has the store stopped, and the memory of the largest process.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/e2e")]

from e2e_scenario import Scenario, created, docker  # noqa: E402

from compose_ops.backup import helper  # noqa: E402

STORE = """
services:
  bulk:
    image: localhost/jimbot-base:bookworm
    network_mode: none
    command: [sh, -c, "trap 'exit 0' TERM; sleep infinity & wait"]
    volumes: [bulk_data:/data]
    healthcheck:
      test: [CMD, "true"]
      interval: 30s
      start_period: 30s
      start_interval: 200ms
    labels:
      compose-ops.data.volumes: bulk_data
volumes:
  bulk_data:
"""

BIG = """
import os
with open('/data/big', 'wb') as f:
    for _ in range(300):
        f.write(os.urandom(1 << 20) + bytes(1 << 20))
"""

SMALL = """
import os
for n in range(100000):
    if n % 1000 == 0:
        os.makedirs(f'/data/{n // 1000}')
    with open(f'/data/{n // 1000}/{n}', 'wb') as f:
        f.write(os.urandom(HALF) + bytes(HALF))
"""

SIZES = {"4 KiB": 4096, "2 KiB": 2048, "1 KiB": 1024, "300 B": 300}
VOLUMES = {"600 MB": BIG} | {
    f"100,000 x {name}": SMALL.replace("HALF", str(size // 2))
    for name, size in SIZES.items()
}


@dataclass
class Timed:
    """Seconds of each way, and what else was measured."""

    guide: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    away: list[float] = field(default_factory=list)
    unpack: list[float] = field(default_factory=list)
    stage: list[float] = field(default_factory=list)
    guide_bytes: int = 0
    our_bytes: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--only", choices=VOLUMES, help="one of the volumes")
    parser.add_argument("--backups-only", action="store_true", help="no restores")
    chosen = parser.parse_args()
    Scenario.prepare_images()
    for name in [chosen.only] if chosen.only else VOLUMES:
        with tempfile.TemporaryDirectory() as folder:
            scenario = created(Path(folder) / "checkout")
            try:
                show(name, measured(scenario, VOLUMES[name], chosen))
            finally:
                scenario.remove()
    # The largest child is a task of this project or a docker client.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"largest process of a task: {peak:.0f} MiB")


def measured(scenario: Scenario, fill: str, chosen: argparse.Namespace) -> Timed:
    overlay = scenario.root / "docker/overlays/bulk.yml"
    overlay.write_text(STORE)
    scenario.invoke("up", "--offline", "--overlay", "bulk", "--service", "bulk")
    scenario.execute("bulk", "python3", "-c", fill)
    found = Timed()
    (scenario.root / "out").mkdir()
    for number in range(chosen.pairs):
        backups(scenario, found)
        if not chosen.backups_only:
            restores(scenario, found, number)
    return found


def backups(scenario: Scenario, found: Timed) -> None:
    dest = scenario.root / "out"
    volume = f"{scenario.project}_bulk_data"
    mount = docker("volume", "inspect", "--format", "{{.Mountpoint}}", volume).strip()
    guide = in_helper(scenario, volume, "czf")
    found.guide.append(clocked(lambda: ran([*guide, "."])))
    found.guide_bytes = (dest / "g.tgz").stat().st_size
    found.bare.append(
        clocked(
            lambda: shell(f"tar cf - -C {mount} . | zstd -q -T0 -3 -o {dest}/b.zst -f")
        )
    )
    made: list[dict[str, object]] = []
    backup = ("backup", "--service", "bulk", "--dest", str(dest))
    found.ours.append(clocked(lambda: made.append(scenario.json(*backup))))
    found.our_bytes = int(str(made[0]["size"]))
    found.away.append(away(scenario))


def in_helper(scenario: Scenario, volume: str, how: str) -> list[str]:
    """Return the guide's command, on *volume*, up to what it is to pack."""
    binds = ("-v", f"{scenario.root / 'out'}:/backup", "-v", f"{volume}:/data")
    image = helper.image()
    run = ("docker", "run", "--rm", "--entrypoint", "tar", *binds, image)
    return [*run, how, "/backup/g.tgz", "-C", "/data"]


def restores(scenario: Scenario, found: Timed, number: int) -> None:
    scratch = f"{scenario.project}-scratch"
    unpack = in_helper(scenario, scratch, "xzf")
    ways = [
        lambda: found.unpack.append(clocked(lambda: ran(unpack))),
        lambda: found.stage.append(staged(scenario, scenario.root / "out")),
    ]
    # Whoever makes 100,000 files first finds the folders' tables cold.
    for way in ways if number % 2 == 0 else reversed(ways):
        way()
    # Only now: where files were just removed, ext4 makes new ones many times slower.
    ran(["docker", "volume", "rm", scratch])
    scenario.invoke("restore", "--discard", "--yes")


def away(scenario: Scenario) -> float:
    """Return the seconds between the store's last end and start, as the engine says."""
    state = scenario.container("bulk")["State"]
    return moment(state["StartedAt"]) - moment(state["FinishedAt"])


def moment(text: str) -> float:
    """Return the seconds since 1970 of a time with nanoseconds."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    began = datetime.fromisoformat(f"{whole}+00:00").timestamp()
    return began + float(f"0.{fraction or 0}")


def staged(scenario: Scenario, dest: Path) -> float:
    """Return the seconds in which a restore had the store stopped: data and swap."""
    words = ("restore", "--service", "bulk", "--dest", str(dest), "--yes")
    os.sync()
    scenario.invoke(*words)
    return away(scenario)


def clocked(act: Callable[[], object]) -> float:
    """Return how long *act* takes, once what others wrote is on the disk."""
    os.sync()
    begin = time.monotonic()
    act()
    return time.monotonic() - begin


def ran(words: list[str]) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def shell(line: str) -> None:
    subprocess.run(["sh", "-c", line], check=True, env=os.environ)


def show(name: str, found: Timed) -> None:
    guide, ours, bare = map(statistics.median, (found.guide, found.ours, found.bare))
    away_for = statistics.median(found.away)
    print(
        f"{name}: guide {guide:.1f} s, ours {ours:.1f} s, bare {bare:.1f} s; "
        f"guide/ours {guide / ours:.2f}, ours/bare {ours / bare:.2f}; "
        f"archive {found.our_bytes / found.guide_bytes:.2f} of the guide's; "
        f"store away {away_for:.2f} s, guide/away {guide / away_for:.1f}"
    )
    if found.stage:
        unpack, stage = map(statistics.median, (found.unpack, found.stage))
        print(f"    tar xzf {unpack:.1f} s, store away in a restore {stage:.1f} s")


if __name__ == "__main__":
    main()
