"""What systemd or cron would start, on an engine, in the unit's own environment."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_scenario import docker
from ledger_site import COMPOSE, HELPER
from repository import ROOT
from schedules import read_unit

from compose_ops import Stack
from compose_ops.library.unattended import Scheduling
from compose_ops.schedule import units

pytestmark = pytest.mark.docker

TOML = f"""{HELPER}
[schedule]
keep_last = 1
[hooks]
before = ["sh", "-c", "echo $COMPOSE_OPS_TASK >>noted"]
after = ["sh", "-c", "echo $COMPOSE_OPS_SET >>noted"]
[metrics]
folder = "."
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a project that runs, with three files of data."""
    name = f"shop{os.getpid()}x{os.urandom(3).hex()}"
    (tmp_path / "compose.yaml").write_text(f"name: {name}\n{COMPOSE}")
    (tmp_path / "compose-ops.toml").write_text(TOML)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    compose = ("compose", "-p", name, "-f", str(tmp_path / "compose.yaml"))
    docker(*compose, "up", "--detach", "--wait")
    try:
        docker("exec", f"{name}-ledger-1", "touch", "/data/a", "/data/b", "/data/c")
        yield tmp_path
    finally:
        docker(*compose, "down", "--volumes", "--timeout", "1")


def run(found: Scheduling, job: str) -> None:
    """Run a job as its unit says: the words, the folder, and no other variable."""
    name = f"{units.stem(found.schedule.project, job)}.service"
    unit = read_unit(units.files(found.schedule)[name])
    chosen = next(one for one in found.schedule.jobs if one.name == job)
    pairs = (line.strip('"').split("=", 1) for line in unit["Environment"])
    done = subprocess.run(
        found.schedule.command(chosen),
        cwd=unit["WorkingDirectory"][0],
        env={"HOME": "/root", **dict(pairs)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def metric(page: str, name: str) -> float:
    (value,) = re.findall(rf"^{name}\{{.*\}} (\S+)$", page, re.MULTILINE)
    return float(value)


def test_jobs_of_a_schedule_back_up_verify_prove_and_tell(shop: Path) -> None:
    """Two backups, of which one is kept; what Prometheus reads then is all of it."""
    found = Stack.open(shop).scheduling(program="compose-ops")

    for job in ("recover", "backup", "backup", "verify", "drill"):
        run(found, job)

    (kept,) = Stack.open(shop).backups()
    noted = (shop / "noted").read_text().split()
    (file,) = shop.glob("*.prom")
    page = file.read_text()
    assert noted[::2] == ["backup", "backup"]
    assert noted[3] == kept.id
    for fact in ("success", "verified", "proven"):
        time = metric(page, f"compose_ops_backup_{fact}_timestamp_seconds")
        assert kept.manifest
        assert time == kept.manifest.created_at.timestamp()
    assert 0 < metric(page, "compose_ops_backup_downtime_seconds") < 60
    assert metric(page, "compose_ops_backup_exit_code") == 0
    status = subprocess.run(
        [sys.executable, "-m", "compose_ops", "schedule", "--status", "--json"],
        cwd=shop,
        capture_output=True,
        text=True,
        check=True,
    )
    jobs = {
        job["name"]: job["last"]["exit_code"]
        for job in json.loads(status.stdout)["jobs"]
    }
    assert jobs == dict.fromkeys(("recover", "backup", "verify", "drill"), 0)
