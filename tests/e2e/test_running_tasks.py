"""`rebuild`, `restart`, `logs`, `stats` and `config` on services that run."""

import os
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from e2e_scenario import Scenario, created

pytestmark = pytest.mark.docker

# A cache of its own: others may run these tests at the same time.
DOCKERFILE = f"""\
FROM localhost/jimbot-base:bookworm
ENV RUN={os.urandom(4).hex()}
RUN date +%s.%N >/stamp
"""
# `stamp` needs `ground`: what Compose makes of dependencies is part of what is tested.
OVERLAY = """\
x-tiny: &tiny
  command: [sh, -c, "echo one; echo two; trap 'exit 0' TERM; sleep infinity & wait"]
  network_mode: none
  mem_limit: 64m
  healthcheck:
    test: [CMD, "true"]
    interval: 30s
    start_period: 30s
    start_interval: 1s
services:
  ground:
    <<: *tiny
    image: localhost/jimbot-base:bookworm
  stamp:
    <<: *tiny
    build: docker/services/stamp
    depends_on: {ground: {condition: service_healthy}}
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Return a running project of two small services, one of them built."""
    scenario = created(tmp_path_factory.mktemp("checkout"))
    folder = scenario.root / "docker/services/stamp"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (scenario.root / "docker/overlays/tiny.yml").write_text(OVERLAY)
    try:
        scenario.invoke("up", "--offline", "--overlay", "tiny", "--service", "stamp")
        yield scenario
    finally:
        scenario.remove()


def stamp(scenario: Scenario) -> str:
    """Return what the build of the running image wrote."""
    return scenario.execute("stamp", "cat", "/stamp")


def ids(scenario: Scenario) -> dict[str, str]:
    return {str(c["Name"]): str(c["Id"]) for c in scenario.containers()}


def health(scenario: Scenario, service: str) -> Any:
    return scenario.container(service)["State"]["Health"]["Status"]


def test_rebuild_runs_each_step_again_and_recreates_the_service(tiny: Scenario) -> None:
    before, ground = stamp(tiny), tiny.container("ground")["Id"]

    tiny.invoke("rebuild", "--service", "stamp")

    assert float(stamp(tiny)) > float(before)
    assert health(tiny, "stamp") == "healthy"
    assert tiny.container("ground")["Id"] == ground


def test_rebuild_with_cache_keeps_the_layers_and_recreates(tiny: Scenario) -> None:
    before, container = stamp(tiny), tiny.container("stamp")["Id"]

    tiny.invoke("rebuild", "--service", "stamp", "--cache")

    assert stamp(tiny) == before
    assert tiny.container("stamp")["Id"] != container
    assert health(tiny, "stamp") == "healthy"


def test_what_was_rebuilt_is_as_the_next_up_wants_it(tiny: Scenario) -> None:
    tiny.invoke("rebuild", "--service", "stamp", "--cache")
    before = ids(tiny)

    tiny.invoke("up", "--service", "stamp")

    assert ids(tiny) == before


def test_rebuild_of_what_has_no_dockerfile_is_refused(tiny: Scenario) -> None:
    before = ids(tiny)

    done = tiny.invoke("rebuild", "--service", "ground", code=2)

    assert "hint: " in done.stderr
    assert ids(tiny) == before


def test_build_that_fails_leaves_what_runs(tiny: Scenario) -> None:
    file = tiny.root / "docker/services/stamp/Dockerfile"
    before = ids(tiny)
    try:
        file.write_text(DOCKERFILE + "RUN false\n")
        tiny.invoke("rebuild", "--service", "stamp", code=4)
    finally:
        file.write_text(DOCKERFILE)

    assert ids(tiny) == before
    assert health(tiny, "stamp") == "healthy"


def test_restart_starts_the_same_container_again(tiny: Scenario) -> None:
    before = tiny.container("stamp")
    ground = tiny.container("ground")["State"]["StartedAt"]

    tiny.invoke("restart", "--service", "stamp")

    after = tiny.container("stamp")
    assert after["Id"] == before["Id"]
    assert began(after) > began(before)
    assert health(tiny, "stamp") == "healthy"
    assert tiny.container("ground")["State"]["StartedAt"] == ground


def began(container: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(str(container["State"]["StartedAt"])[:26] + "+00:00")


def test_logs_show_the_last_lines_of_the_service(tiny: Scenario) -> None:
    done = tiny.invoke("logs", "--service", "ground", "--tail", "1")

    assert "two" in done.stdout
    assert "one" not in done.stdout
    assert "stamp" not in done.stdout


def test_stats_tell_the_memory_in_use(tiny: Scenario) -> None:
    found = {e["service"]: e for e in tiny.json("stats")["containers"]}

    assert set(found) == {"ground", "stamp"}
    for entry in found.values():
        assert 0 < entry["memory"] < entry["memory_limit"] == 64 << 20


def test_model_is_shown_without_the_secrets(tiny: Scenario) -> None:
    tiny.set(ANTHROPIC_API_KEY="sk-never-seen")
    try:
        done = tiny.invoke("config")
    finally:
        tiny.set(ANTHROPIC_API_KEY="trial")

    assert "sk-never-seen" not in done.stdout + done.stderr
    assert "stamp" in done.stdout


def test_unknown_service_is_named(tiny: Scenario) -> None:
    for task in ("rebuild", "restart", "logs", "stats"):
        done = tiny.invoke(task, "--service", "nobody", code=2)
        assert "nobody" in done.stderr
