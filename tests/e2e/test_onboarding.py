"""The onboarding script takes a clone to a healthy stack; then nothing is to do."""

import json
import os
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from e2e_scenario import ROOT, Scenario, created

pytestmark = [pytest.mark.docker, pytest.mark.slow]

SERVICES = {"memgraph", "questdb", "eventstore", "ray-head", "app"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Return a clone beside others: its project has a name and subnets of its own."""
    root = tmp_path_factory.mktemp("onboarding")
    scenario = created(root)
    (root / ".venv").symlink_to(ROOT / ".venv")
    home(scenario).mkdir()
    try:
        yield scenario
    finally:
        scenario.remove()


@pytest.fixture(scope="module")
def said(clone: Scenario) -> str:
    return onboard(clone)


def home(clone: Scenario) -> Path:
    return clone.root.with_name(f"{clone.root.name}-home")


def onboard(clone: Scenario) -> str:
    """Run the script with a home of its own, and return what it says."""
    done = subprocess.run(
        ["./scripts/onboard.sh", "--yes"],
        cwd=clone.root,
        env=os.environ | {"HOME": str(home(clone))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=590,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def files(root: Path) -> dict[str, str]:
    """Return a digest of each file of the clone, without what services write."""
    return {
        str(path): sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
        and path.suffix != ".pyc"
        and not path.is_relative_to(root / "data")
    }


def test_all_services_are_healthy(clone: Scenario, said: str) -> None:
    told = json.loads(clone.invoke("status", "--json").stdout)["services"]

    assert "Ready" in said
    assert {one["service"] for one in told} >= SERVICES
    assert {(one["state"], one["health"]) for one in told} == {("running", "healthy")}


def test_second_run_changes_nothing_and_says_so(clone: Scenario, said: str) -> None:
    assert "Nothing changed" not in said
    before = files(clone.root), started(clone)

    again = onboard(clone)

    assert files(clone.root).items() ^ before[0].items() == set()
    assert started(clone) == before[1]
    assert "Nothing changed" in again


def started(clone: Scenario) -> dict[str, str]:
    return {c["Id"]: c["State"]["StartedAt"] for c in clone.containers()}
