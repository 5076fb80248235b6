"""From development to production and back, with data on the way."""

import json
from pathlib import Path

import pytest
from e2e_scenario import Scenario, docker

pytestmark = pytest.mark.docker

STORES = ("--service", "questdb", "--service", "eventstore")
QUERY = """
import json, sys, urllib.parse, urllib.request
query = urllib.parse.quote(sys.argv[1])
with urllib.request.urlopen("http://127.0.0.1:9000/exec?query=" + query) as answer:
    print(json.dumps(json.load(answer).get("dataset")))
"""


def ask(scenario: Scenario, query: str) -> list[list[int]] | None:
    """Return the rows that QuestDB answers."""
    printed = scenario.execute("questdb", "python3", "-c", QUERY, query)
    found: list[list[int]] | None = json.loads(printed)
    return found


def count(scenario: Scenario) -> list[list[int]] | None:
    return ask(scenario, "SELECT count() FROM trips")


def move(scenario: Scenario, mode: str, sets: Path) -> None:
    """Go to another mode by the way that the refusal names."""
    scenario.invoke("backup", "--service", "questdb", "--dest", str(sets))
    scenario.invoke("down")
    moved = ("questdb_data", "memgraph_data")  # Compose makes both with any service
    docker("volume", "rm", *(f"{scenario.project}_{name}" for name in moved))
    scenario.invoke("up", mode, "--offline", *STORES)
    scenario.invoke("restore", "--service", "questdb", "--dest", str(sets), "--yes")


def test_data_goes_to_production_and_back(scenario: Scenario, tmp_path: Path) -> None:
    """A volume that moves is refused untouched; the named way over keeps the data."""
    scenario.invoke("up", "--dev", "--offline", *STORES)
    ask(scenario, "CREATE TABLE trips (id INT)")
    ask(scenario, "INSERT INTO trips VALUES (7)")
    scenario.invoke("init", "--prod")
    before = {c["Id"] for c in scenario.containers()}

    refused = scenario.invoke("up", "--prod", "--offline", *STORES, code=3)
    assert f"{scenario.project}_questdb_data" in refused.stderr
    assert "--service questdb" in refused.stderr
    assert before == {c["Id"] for c in scenario.containers()}

    move(scenario, "--prod", tmp_path / "sets")
    assert count(scenario) == [[1]]
    assert not scenario.container("questdb")["NetworkSettings"]["Ports"]["9000/tcp"]
    assert "edge_eventstore" not in "".join(
        scenario.container("eventstore")["NetworkSettings"]["Networks"]
    )
    ask(scenario, "INSERT INTO trips VALUES (8)")

    scenario.invoke("up", "--dev", "--offline", *STORES, code=3)
    move(scenario, "--dev", tmp_path / "sets")

    assert count(scenario) == [[2]]
    assert scenario.published("eventstore", 2113)[0] == "127.0.0.1"
