"""The whole development stack as `invoke up --dev` starts it, which nobody changes."""

import json
import os
import urllib.request
from typing import Any

import pytest
from doctor_world import World, as_nobody, docker_group, problems
from e2e_scenario import Scenario
from waiting import eventually

pytestmark = pytest.mark.docker

ALL = {"app", "memgraph", "questdb", "eventstore", "ray-head", "lab"}


def fetch(scenario: Scenario, path: str) -> Any:
    host, port = scenario.published("app", 8000)
    url = f"http://{host}:{port}{path}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def answers(scenario: Scenario, path: str) -> bool:
    try:
        fetch(scenario, path)
    except OSError:
        return False
    return True


def test_every_service_of_the_topology_is_healthy(dev_stack: Scenario) -> None:
    found = dev_stack.json("status")

    states = {e["service"]: (e["state"], e["health"]) for e in found["services"]}
    assert states == dict.fromkeys(ALL, ("running", "healthy"))
    assert found["mode"] == "dev, offline"


def test_status_shows_what_is_really_published(dev_stack: Scenario) -> None:
    """The ports come from the engine, not from the compose files."""
    entries = {e["service"]: e for e in dev_stack.json("status")["services"]}

    host, port = dev_stack.published("memgraph", 7687)
    assert f"{host}:{port}" in entries["memgraph"]["published"]
    assert 0 < entries["memgraph"]["memory"] < entries["memgraph"]["memory_limit"]


def test_app_is_ready_when_each_dependency_answers(dev_stack: Scenario) -> None:
    eventually(lambda: answers(dev_stack, "/ready"))
    found = fetch(dev_stack, "/ready")

    assert found["ready"]
    assert set(found["dependencies"]) == {"memgraph", "questdb", "eventstore", "ray"}


def test_second_up_changes_nothing(dev_stack: Scenario) -> None:
    """`up` on a healthy stack leaves every container as it is."""
    before = {c["Id"]: c["State"]["StartedAt"] for c in dev_stack.containers()}

    dev_stack.invoke("up")

    assert before == {c["Id"]: c["State"]["StartedAt"] for c in dev_stack.containers()}


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_healthy_development_raises_no_alarm(dev_stack: Scenario) -> None:
    assert problems(World(dev_stack).doctor()) == []
    assert problems(as_nobody(World(dev_stack), docker_group())) == []
