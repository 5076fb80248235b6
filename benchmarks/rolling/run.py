"""
Three ways to bring a changed setting to two replicas, under one load, in one run.

    python benchmarks/rolling/run.py [--connections 6]

Needs an engine, the offline base images, and wrk. The ways: this project's rolling
update; `docker compose up -d`, which recreates; and what public rollout scripts do, one
more replica, wait until it is healthy, one fewer. wrk counts what failed and measures
the 99th percentile; a second client of 30 requests a second measures the longest time
without a good answer.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/e2e")]

from e2e_scenario import Scenario, docker  # noqa: E402
from open_load import Load  # noqa: E402
from rollout_site import RolloutSite, build_images  # noqa: E402

MONITOR = 8.0
DELAY = 1.0
SLOTS = 2
REST_SECONDS = 15


@dataclass
class Measured:
    failed: int
    requests: int
    p99: float
    gap: float
    seconds: float


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--connections", type=int, default=6)
    connections = options.parse_args().connections
    Scenario.prepare_images()
    build_images()
    with tempfile.TemporaryDirectory() as folder:
        site = RolloutSite.started(Path(folder), monitor=f"{MONITOR:.0f}s")
        try:
            compare(site, connections)
        finally:
            site.remove()


def compare(site: RolloutSite, connections: int) -> None:
    rest = measured(site, connections, lambda: time.sleep(REST_SECONDS))
    print(f"at rest: {rest.requests} requests, p99 {rest.p99:.1f} ms")
    own: dict[str, object] = {}

    def ours() -> None:
        site.scenario.set(SETTING="ours")
        own.update(site.update())

    ways = (("rolling-update", ours), ("recreate", recreate(site)))
    rows = [(name, measured(site, connections, way)) for name, way in ways]
    rows.append(("scale up, scale down", measured(site, connections, scale(site))))
    print(f"{'way':22}{'requests':>9}{'failed':>8}{'gap ms':>8}{'p99 x':>7}{'s':>7}")
    for name, m in rows:
        ratio = m.p99 / rest.p99
        print(
            f"{name:22}{m.requests:9}{m.failed:8}{m.gap * 1000:8.0f}{ratio:7.2f}"
            f"{m.seconds:7.1f}"
        )
    healthy = sum(own["healthy_after"])  # type: ignore[call-overload]
    needed = DELAY * (SLOTS - 1) + MONITOR * SLOTS + healthy
    spent = float(str(own["seconds"]))
    share = (spent - needed) / needed
    print(f"own overhead: {spent - needed:.1f} s of {needed:.1f} s ({share:.0%})")
    print("proof: " + json.dumps(own["proof"]))


def recreate(site: RolloutSite) -> Callable[[], None]:
    def way() -> None:
        site.scenario.set(SETTING="recreate")
        compose(site, "up", "-d", "--wait", "--no-deps", "app")

    return way


def scale(site: RolloutSite) -> Callable[[], None]:
    """For each replica: one more, healthy, one of the old ones stopped and removed."""

    def way() -> None:
        site.scenario.set(SETTING="scale")
        for old in [str(c["Id"]) for c in site.replicas()]:
            more = ("--no-recreate", "--no-deps", "--scale", "app=3")
            compose(site, "up", "-d", "--wait", *more, "app")
            docker("rm", "--force", docker("stop", old).strip())

    return way


def compose(site: RolloutSite, *words: str) -> None:
    files = (
        "docker-compose.yml",
        "docker-compose.prod.yml",
        "docker/overlays/offline.yml",
    )
    site.scenario.compose(*words, files=files)


def measured(site: RolloutSite, connections: int, way: Callable[[], None]) -> Measured:
    """Run *way* under the load, from two seconds before to two seconds after it."""
    url = f"http://127.0.0.1:{site.port}/paced"
    argv = ["wrk", "-t1", f"-c{connections}", "-d600s", "--timeout", "5s", "--latency"]
    with Load("127.0.0.1", site.port, rate=30.0) as load:
        wrk = subprocess.Popen([*argv, url], stdout=subprocess.PIPE, text=True)
        time.sleep(2)
        begin = time.monotonic()
        way()
        seconds = time.monotonic() - begin
        time.sleep(2)
        wrk.send_signal(2)
        report = wrk.communicate(timeout=30)[0]
    ends = sorted(load.ends)
    gap = max(b - a for a, b in pairwise(ends))
    return Measured(*read(report), gap=gap, seconds=seconds)


def read(report: str) -> tuple[int, int, float]:
    """Return failed and all requests of wrk's report, and its 99th percentile in ms."""
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", report)
    broken = re.search(r"Socket errors: (.*)", report)
    failed = int(refused[1]) if refused else 0
    failed += sum(map(int, re.findall(r"\d+", broken[1]))) if broken else 0
    total = re.search(r"(\d+) requests in", report)
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", report)
    if total is None or tail is None:
        raise SystemExit(f"wrk said something else:\n{report}")
    unit = {"us": 0.001, "ms": 1.0, "s": 1000.0}[tail[2]]
    return failed, int(total[1]), float(tail[1]) * unit


if __name__ == "__main__":
    main()
