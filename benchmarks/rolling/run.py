"""
Ways to bring a changed setting to two replicas, under one load, in one run.

    python benchmarks/rolling/run.py [--connections N] [--monitor 12] [--delay 1]

Needs an engine, the offline base images, and wrk. The ways: this project's rolling
update, behind an HAProxy of one's own and behind the gateway that `[rollout.app]` puts
in front; what docker-rollout does, twice as many replicas, wait until all are healthy,
the old ones stopped; `docker compose up -d`, which recreates; and one more replica,
wait until it is healthy, one fewer. All but the second are behind the one HAProxy. wrk
counts what failed and measures the 99th percentile; a second client of 30 requests a
second, some of which take seconds, measures the longest time without a good answer.
First wrk measures how many of the same requests the two replicas answer at most, and
the load is a third of that. At the end it says whether each update reached what is
asked of it.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests/e2e")]

from e2e_scenario import Scenario, docker, free_port  # noqa: E402
from open_load import Load  # noqa: E402
from rollout_site import RolloutSite, build_images  # noqa: E402

SLOTS = 2
# Of what the replicas answer at most.
SHARE = 1 / 3
# Each answer takes 20 ms and a little; nothing else bounds how many there are.
PACE = 0.0215
WORKERS = 256
REST_SECONDS = 15
CAPACITY_SECONDS = 6
MARGIN_SECONDS = 2.0
# Ends a way that hangs; wrk itself is ended with its way.
LIMIT_SECONDS = 600
POLL_SECONDS = 1.0
# What is asked of the update: p99 against that at rest, and seconds beyond its waits.
MOST_P99, MOST_BEYOND = 1.3, 4.0
# The HAProxy that both gateways run, and what the helpers of tasks are built on.
OF_GATEWAY = """
[rollout.app]
port = 8000
get = "/"
post = "/echo"
health = "/health"
drain-timeout = "10s"

[gateway]
image = "localhost/jimbot-standin-haproxy:latest"

[backup]
helper_base = ["localhost/jimbot-base:bookworm"]
"""


@dataclass
class Measured:
    failed: int
    requests: int
    p99: float
    gap: float
    seconds: float


@dataclass(frozen=True)
class BuiltIn:
    """The same application in a project of plain Compose, behind a gateway of ours."""

    folder: Path
    port: int

    @classmethod
    def started(cls, folder: Path, model: Any) -> "BuiltIn":
        """Start the application of a project's model, without its gateway."""
        app = model["services"]["app"]
        for key in ("depends_on", "labels", "networks", "volumes"):
            del app[key]
        app["environment"]["SETTING"] = "${SETTING:-one}"
        found = cls(folder, free_port())
        app["ports"] = [f"127.0.0.1:{found.port}:8000"]
        folder.mkdir()
        (folder / "compose.yaml").write_text(json.dumps({"services": {"app": app}}))
        (folder / "compose-ops.toml").write_text(OF_GATEWAY)
        found.task("init")
        found.task("up")
        return found

    def task(self, *words: str, **settings: str) -> str:
        """Run a task and return what it printed on stdout."""
        return subprocess.run(
            [sys.executable, "-m", "compose_ops", *words],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout

    def update(self) -> Any:
        """Run a rolling update for a changed setting and return its object."""
        words = ("rolling-update", "--service", "app", "--json")
        return json.loads(self.task(*words, SETTING="ours"))

    def remove(self) -> None:
        self.task("down", "--volumes", "--yes")


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--connections", type=int, default=0)
    options.add_argument("--monitor", type=float, default=12.0)
    options.add_argument("--delay", type=float, default=1.0)
    given = options.parse_args()
    os.environ["DELAY"] = f"{given.delay:.0f}s"
    Scenario.prepare_images()
    build_images()
    with tempfile.TemporaryDirectory() as folder:
        monitor = f"{given.monitor:.0f}s"
        site = RolloutSite.started(Path(folder), monitor=monitor, workers=WORKERS)
        try:
            compare(site, Path(folder) / "built-in", given)
        finally:
            site.remove()


def compare(site: RolloutSite, folder: Path, given: argparse.Namespace) -> None:
    most = capacity(site.port)
    connections = given.connections or max(round(most * SHARE * PACE), 1)
    outcomes: list[Any] = []

    def own() -> None:
        site.scenario.set(SETTING="ours")
        outcomes.append(site.update())

    rest = at_rest(site.port, connections, most)
    rows = [
        (name, rest.p99, measured(site.port, connections, way))
        for name, way in (
            ("rolling-update, own HAProxy", own),
            ("docker-rollout's algorithm", double(site)),
            ("docker compose up -d", recreate(site)),
            ("one more, one fewer", scale(site)),
        )
    ]
    model = json.loads(compose(site, "config", "--format", "json"))
    compose(site, "stop")  # what it does at rest would be measured, too
    built_in = BuiltIn.started(folder, model)
    try:
        rest = at_rest(built_in.port, connections, most)
        of_ours = measured(
            built_in.port, connections, lambda: outcomes.append(built_in.update())
        )
    finally:
        built_in.remove()
    rows.insert(1, ("rolling-update, gateway of ours", rest.p99, of_ours))
    print(f"{'way':32}{'requests':>9}{'failed':>8}{'gap ms':>8}{'p99 x':>7}{'s':>7}")
    for name, p99, m in rows:
        print(
            f"{name:32}{m.requests:9}{m.failed:8}{m.gap * 1000:8.0f}"
            f"{m.p99 / p99:7.2f}{m.seconds:7.1f}"
        )
    for (name, p99, m), outcome in zip(rows, outcomes, strict=False):
        print(name)
        judge(m, m.p99 / p99, given, outcome)


def at_rest(port: int, connections: int, most: float) -> Measured:
    """Measure the load alone, and say how much of the most it is."""
    found = measured(port, connections, lambda: time.sleep(REST_SECONDS))
    rate = found.requests / (found.seconds + 2 * MARGIN_SECONDS)
    print(
        f"at rest, {connections} connections: {rate:.0f} requests a second, "
        f"{rate / most:.0%} of {most:.0f} at most; p99 {found.p99:.1f} ms, "
        f"longest gap {found.gap * 1000:.0f} ms"
    )
    return found


def judge(m: Measured, ratio: float, given: argparse.Namespace, outcome: Any) -> None:
    """Print what an update took beyond its waits, and what of the aims it reached."""
    waits = given.delay * (SLOTS - 1) + given.monitor * SLOTS
    needed = waits + sum(outcome["healthy_after"])
    beyond = m.seconds - needed
    print(
        f"  own overhead: {beyond:.1f} s beyond {needed:.1f} s "
        f"({beyond / needed:.0%}), the start of the interpreter included"
    )
    print("  proof: " + json.dumps(outcome["proof"]))
    for what, reached in (
        ("0 failed", m.failed == 0),
        (f"p99 at most {MOST_P99} times that at rest", ratio <= MOST_P99),
        (f"at most {MOST_BEYOND:.0f} s beyond its waits", beyond <= MOST_BEYOND),
    ):
        print(f"  {'reached' if reached else 'NOT reached'}: {what}")


def capacity(port: int) -> float:
    """Return how many requests a second the replicas answer when wrk never waits."""
    url = f"http://127.0.0.1:{port}/paced"
    flags = ("-t1", "-c64", f"-d{CAPACITY_SECONDS}s", "--latency")
    report = subprocess.check_output(["wrk", *flags, url], text=True)
    return read(report)[1] / CAPACITY_SECONDS


def recreate(site: RolloutSite) -> Callable[[], None]:
    def way() -> None:
        site.scenario.set(SETTING="recreate")
        compose(site, "up", "-d", "--wait", "--no-deps", "app")

    return way


def double(site: RolloutSite) -> Callable[[], None]:
    """As many new replicas as there are, all healthy, the old ones stopped, removed."""

    def way() -> None:
        site.scenario.set(SETTING="double")
        old = [str(c["Id"]) for c in site.replicas()]
        more = ("--no-recreate", "--no-deps", "--scale", f"app={2 * len(old)}")
        compose(site, "up", "-d", *more, "app")
        deadline = time.monotonic() + LIMIT_SECONDS
        while any(not is_healthy(c) for c in site.replicas() if c["Id"] not in old):
            if time.monotonic() > deadline:
                raise SystemExit("the new replicas do not get healthy")
            time.sleep(POLL_SECONDS)
        docker("stop", *old)
        docker("rm", *old)

    return way


def is_healthy(container: dict[str, Any]) -> bool:
    return bool(container["State"]["Health"]["Status"] == "healthy")


def scale(site: RolloutSite) -> Callable[[], None]:
    """For each replica: one more, healthy, one of the old ones stopped and removed."""

    def way() -> None:
        site.scenario.set(SETTING="scale")
        for old in [str(c["Id"]) for c in site.replicas()]:
            more = ("--no-recreate", "--no-deps", "--scale", "app=3")
            compose(site, "up", "-d", "--wait", *more, "app")
            docker("rm", "--force", docker("stop", old).strip())

    return way


def compose(site: RolloutSite, *words: str) -> str:
    files = (
        "docker-compose.yml",
        "docker-compose.prod.yml",
        "docker/overlays/offline.yml",
    )
    return site.scenario.compose(*words, files=files)


def measured(port: int, connections: int, way: Callable[[], None]) -> Measured:
    """Run *way* under the load, which begins before it and ends after it."""
    url = f"http://127.0.0.1:{port}/paced"
    flags = ("-t1", f"-c{connections}", f"-d{LIMIT_SECONDS}s", "--timeout", "5s")
    with Load("127.0.0.1", port) as load:
        wrk = subprocess.Popen(
            ["wrk", *flags, "--latency", url], stdout=subprocess.PIPE, text=True
        )
        try:
            time.sleep(MARGIN_SECONDS)
            begin = time.monotonic()
            way()
            seconds = time.monotonic() - begin
            time.sleep(MARGIN_SECONDS)
        finally:
            wrk.send_signal(signal.SIGINT)
            report = wrk.communicate(timeout=30)[0]
        until = time.monotonic()
    failed, requests, p99 = read(report)
    # What ends later answers requests of seconds, beside which no more were sent.
    ends = sorted(end for end in load.ends if end <= until)
    gap = max(b - a for a, b in pairwise(ends))
    return Measured(
        failed=failed + len(load.failures),
        requests=requests + load.sent,
        p99=p99,
        gap=gap,
        seconds=seconds,
    )


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
