"""`invoke up`, `status` and `down` on the real engine."""

import signal
from typing import Any

import pytest
from e2e_scenario import Scenario, docker, end
from waiting import eventually

pytestmark = pytest.mark.docker


def test_dry_run_plans_and_changes_nothing(scenario: Scenario) -> None:
    done = scenario.invoke("up", "--offline", "--service", "questdb", "--dry")

    assert "would start questdb" in done.stderr
    assert scenario.containers() == []
    assert docker("network", "ls", "-q", "-f", f"name={scenario.project}_") == ""


def test_interrupted_up_is_carried_on_by_the_next(scenario: Scenario) -> None:
    """Ctrl-C while services start leaves a state that `up` accepts."""
    process = scenario.begin("up", "--offline", "--service", "eventstore")
    eventually(scenario.containers, seconds=120)
    printed = end(process, signal.SIGINT)

    assert process.returncode == 130, printed
    assert "Traceback" not in printed
    scenario.invoke("up", "--offline", "--service", "eventstore")
    assert scenario.container("eventstore")["State"]["Health"]["Status"] == "healthy"


def test_killed_up_is_carried_on_by_the_next(scenario: Scenario) -> None:
    process = scenario.begin("up", "--offline", "--service", "eventstore")
    eventually(scenario.containers, seconds=120)
    end(process, signal.SIGKILL)

    scenario.invoke("up", "--offline", "--service", "eventstore")

    assert scenario.container("eventstore")["State"]["Health"]["Status"] == "healthy"


def test_stores_start_again_on_their_data(scenario: Scenario) -> None:
    """The second start finds a volume that belongs to the store's own user."""
    stores = [
        w for s in ("questdb", "memgraph", "eventstore") for w in ("--service", s)
    ]
    scenario.invoke("up", "--offline", *stores)

    scenario.invoke("restart")

    health = {c["Name"]: c["State"]["Health"]["Status"] for c in scenario.containers()}
    assert set(health.values()) == {"healthy"}
    assert len(health) == 3


def test_stopped_services_are_started_again(scenario: Scenario) -> None:
    """A container that had ended before is no failure of this `up`."""
    scenario.invoke("up", "--offline", "--service", "questdb")
    docker("kill", scenario.container("questdb")["Id"])

    scenario.invoke("up")

    assert scenario.container("questdb")["State"]["Health"]["Status"] == "healthy"


def test_failing_service_is_shown_with_its_evidence(scenario: Scenario) -> None:
    """EventStore refuses to start without a certificate; `up` says so."""
    scenario.set(EVENTSTORE_INSECURE="false")

    done = scenario.invoke("up", "--offline", "--service", "eventstore", code=6)

    assert "error: eventstore" in done.stderr
    assert "certificate" in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr


def test_down_keeps_the_data_and_volumes_need_the_name(scenario: Scenario) -> None:
    scenario.invoke("up", "--offline", "--service", "questdb")
    scenario.invoke("down")
    volume = f"{scenario.project}_questdb_data"
    assert scenario.containers() == []
    assert docker("volume", "inspect", volume)

    scenario.invoke("up", "--offline", "--service", "questdb")
    refused = scenario.invoke("down", "--volumes", code=2)
    assert volume in refused.stderr
    assert scenario.container("questdb")["State"]["Running"]

    scenario.invoke("down", "--volumes", "--yes")
    assert docker("volume", "ls", "-q", "-f", f"name={scenario.project}_") == ""


def test_taken_port_is_refused_before_anything_changes(scenario: Scenario) -> None:
    """The message names the container that holds the port."""
    image = "localhost/jimbot-base:bookworm"
    holder = docker(
        "run", "-d", "--rm", "-p", "127.0.0.1:0:9000", image, "sleep", "600"
    ).strip()
    try:
        template = '{{(index (index .NetworkSettings.Ports "9000/tcp") 0).HostPort}}'
        port = docker("inspect", "-f", template, holder).strip()
        name = docker("inspect", "-f", "{{.Name}}", holder).strip().lstrip("/")
        scenario.set(QUESTDB_HTTP_PORT=port)

        done = scenario.invoke("up", "--offline", "--service", "questdb", code=3)
    finally:
        docker("rm", "--force", holder)

    assert f"used by the container {name}" in done.stderr
    assert scenario.containers() == []


def test_two_checkouts_with_one_name_are_refused(
    scenario: Scenario, new_scenario: Any
) -> None:
    """The second checkout would change the first one's containers."""
    scenario.invoke("up", "--offline", "--service", "questdb")
    other = new_scenario()
    other.set(COMPOSE_PROJECT_NAME=scenario.project)

    done = other.invoke("up", "--offline", "--service", "questdb", code=3)

    assert str(scenario.root) in done.stderr
    assert str(other.root) in done.stderr


def test_changed_network_is_made_anew(scenario: Scenario) -> None:
    """Compose would keep the old subnet without a word."""
    scenario.invoke("up", "--offline", "--service", "questdb")
    before = scenario.container("questdb")["NetworkSettings"]["Networks"]
    values = dict(
        line.split("=", 1)
        for line in (scenario.root / ".env").read_text().splitlines()
        if "SUBNET=" in line
    )
    scenario.set(DATA_SUBNET=values["GATEWAY_SUBNET"])

    scenario.invoke("up")

    after = scenario.container("questdb")["NetworkSettings"]["Networks"]
    name = f"{scenario.project}_data_network"
    assert before[name]["IPAddress"] != after[name]["IPAddress"]
    prefix = values["GATEWAY_SUBNET"].rsplit(".", 1)[0]
    assert after[name]["IPAddress"].startswith(f"{prefix}.")
