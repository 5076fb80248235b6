"""Doctor on production: no false alarm, and each certificate fault found."""

import os
from collections.abc import Iterator

import pytest
from doctor_certificate_faults import FAULTS
from doctor_world import (
    Fault,
    World,
    as_nobody,
    docker_group,
    examine,
    grouped,
    problems,
    started,
)

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes faults that only root can"),
]

GROUPS = grouped(FAULTS)

BRISK = """
services:
  app:
    healthcheck:
      interval: 1s
      start_period: 60s
      start_interval: 1s
    deploy:
      update_config:
        delay: 0s
        monitor: 8s
"""
"""An update of it is watched for seconds, not for minutes."""


@pytest.fixture(scope="module")
def production() -> Iterator[World]:
    with started("--prod", "--overlay", "quick", overlay=BRISK) as world:
        yield world


def test_healthy_production_raises_no_alarm(production: World) -> None:
    assert problems(production.doctor()) == []
    assert problems(as_nobody(production, docker_group())) == []


@pytest.mark.parametrize("faults", GROUPS.values(), ids=GROUPS)
def test_faults_of_production_are_found(production: World, faults: list[Fault]) -> None:
    examine(production, faults)
