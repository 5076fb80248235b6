"""A health check can fail: each service's process is frozen from outside."""

import os
import signal
import time

import pytest
from e2e_scenario import Scenario
from waiting import eventually

pytestmark = pytest.mark.docker

# The guide's check with a shorter clock: 3 x (2 s + 3 s) + 2 s to the verdict.
QUICK = """
services:
  {service}:
    healthcheck:
      interval: 2s
      timeout: 3s
      retries: 3
      start_period: 0s
"""
SECONDS_TO_VERDICT = 3 * (2 + 3) + 2
SLACK = 6


# What a service waits for is left out: only its own check is asked here.
ALONE = "    depends_on: !reset {}\n"


OTHERS = ("memgraph", "questdb", "eventstore", "lab")


@pytest.mark.parametrize(
    "service",
    ["app", *(pytest.param(name, marks=pytest.mark.upgrade) for name in OTHERS)],
)
def test_frozen_service_turns_unhealthy_and_back(
    scenario: Scenario, service: str
) -> None:
    overlay = scenario.root / "docker/overlays/quick.yml"
    overlay.write_text(
        QUICK.format(service=service) + (ALONE if service in {"app", "lab"} else "")
    )
    stage = ["--dev"] if service == "lab" else []
    scenario.invoke(
        "up", *stage, "--offline", "--overlay", "quick", "--service", service
    )
    # Each is one process, and its entry point has become it.
    process = scenario.container(service)["State"]["Pid"]

    os.kill(process, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        wait_for(scenario, service, "unhealthy", SECONDS_TO_VERDICT + SLACK)
        assert time.monotonic() - begin <= SECONDS_TO_VERDICT + SLACK
    finally:
        os.kill(process, signal.SIGCONT)
    wait_for(scenario, service, "healthy", SECONDS_TO_VERDICT)


def wait_for(scenario: Scenario, service: str, health: str, limit: float) -> None:
    def holds() -> bool:
        state = scenario.container(service)["State"]
        return bool(state["Health"]["Status"] == health)

    eventually(holds, seconds=limit)
