"""Doctor finds and names each fault that is really made, and only these."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import doctor_certificate_faults
import doctor_engine_faults
import doctor_faults
import pytest
from doctor_world import (
    NOBODY,
    QUICK,
    Fault,
    World,
    as_nobody,
    docker_group,
    examine,
    grouped,
    problems,
    started,
)
from e2e_scenario import docker
from private_engine import PrivateEngine

from compose_ops.library.opening import READ_ONLY_TIMEOUT
from compose_ops.runtime.engine_location import INFO_SECONDS

FAULTS = [*doctor_faults.FAULTS, *doctor_engine_faults.FAULTS]
GROUPS = grouped(FAULTS)
pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes faults that only root can"),
]

ROOM = "1100m"
LEAST_FAULTS = 60
LEAST_MENDED = 30
BESIDE_OTHERS = 10.0
"""Seconds that doctor may take longer where other tests run beside it."""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with started("--overlay", "quick", overlay=QUICK) as world:
        yield world


def test_healthy_stack_raises_no_alarm(world: World) -> None:
    assert problems(world.doctor()) == []


def test_healthy_stack_raises_no_alarm_for_another_user(world: World) -> None:
    assert problems(as_nobody(world, docker_group())) == []


@pytest.mark.parametrize("faults", GROUPS.values(), ids=GROUPS)
def test_faults_are_found_named_and_mended(world: World, faults: list[Fault]) -> None:
    examine(world, faults)


def test_table_is_long_enough() -> None:
    table = [*FAULTS, *doctor_certificate_faults.FAULTS]
    assert len({fault.name for fault in table}) == len(table) >= LEAST_FAULTS
    assert sum(fault.is_mended for fault in table) >= LEAST_MENDED


UNMEASURED = {
    *("bind-address", "bind-folders", "bind-readable", "data-folders", "data-owners"),
    *("disk-space", "file-descriptors", "inodes", "key-private", "machine-files"),
    *("map-count", "ports-free", "routes-free"),
    *("certificate-pair", "certificate-present", "certificate-valid"),
    *("secret-present", "secret-private", "secret-readable", "secret-strength"),
}
"""What lies on the engine's machine and cannot be seen from another one."""


def test_remote_engine_is_not_judged_by_this_machine(world: World) -> None:
    """What cannot be measured through it is skipped with a word; the rest is judged."""
    with doctor_faults.relayed() as host:
        rows = World(world.scenario, {"DOCKER_HOST": host}).doctor()

    skipped = {name for name, row in rows.items() if row["outcome"] == "skipped"}
    assert skipped == UNMEASURED
    assert all("DOCKER_HOST names tcp" in rows[name]["detail"] for name in skipped)
    assert [line.partition(":")[0] for line in problems(rows)] == ["engine-place"]


def test_user_without_permission_is_told_how_to_get_it(world: World) -> None:
    row = as_nobody(world, NOBODY, "--only", "engine-answers")["engine-answers"]

    assert row["outcome"] == "fail"
    assert "has no permission for Docker's socket" in row["detail"]
    assert "usermod -aG docker" in row["repair"]


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    with PrivateEngine(room=ROOM) as engine:
        yield engine


Other = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture
def elsewhere(world: World, engine: PrivateEngine) -> Other:
    """Return how doctor sees an engine of the test's own."""
    return World(world.scenario, {"DOCKER_HOST": engine.host}).doctor


def test_dead_engine_is_one_failure(engine: PrivateEngine, elsewhere: Other) -> None:
    """What needs an engine is skipped, not failed twenty times."""
    engine.kill()
    try:
        rows = elsewhere("--offline")
    finally:
        engine.start()

    failed = [row["id"] for row in rows.values() if row["outcome"] == "fail"]
    assert failed == ["engine-answers"]
    assert rows["memory"]["outcome"] == "skipped"
    assert rows["env-file"]["outcome"] == "ok"


def test_full_data_root_is_named(engine: PrivateEngine, elsewhere: Other) -> None:
    """Images and volumes of that engine lie on a filesystem without room."""
    only = ("--offline", "--only", "disk-space")
    assert elsewhere(*only)["disk-space"]["outcome"] != "fail"

    filling = engine.data / "full"
    filling.write_bytes(bytes(100 * 1024**2))
    try:
        row = elsewhere(*only)["disk-space"]
    finally:
        filling.unlink()

    assert row["outcome"] == "fail"
    assert "the disk is full: " in row["detail"]
    assert str(engine.data) in row["detail"]


def test_taken_subnet_is_named_and_mended(engine: PrivateEngine, world: World) -> None:
    """A network of somebody else has a subnet that the project wants."""
    engine.docker("network", "create", "another")
    [found] = json.loads(engine.docker("network", "inspect", "another"))
    subnet = found["IPAM"]["Config"][0]["Subnet"]
    other = World(world.scenario, {"DOCKER_HOST": engine.host})
    only = ("--offline", "--only", "subnets-free")
    with world.kept():
        world.scenario.set(GATEWAY_SUBNET=subnet, COMPUTE_SUBNET=subnet)
        row = other.doctor(*only)["subnets-free"]
        assert "overlaps the network another" in row["detail"]
        other.mend(row["repair"])
        assert other.doctor(*only)["subnets-free"]["outcome"] == "ok"


def test_hung_engine_is_named_in_time(engine: PrivateEngine, elsewhere: Other) -> None:
    """It takes connections and answers none of them."""
    begun = time.monotonic()
    with engine.frozen():
        rows = elsewhere("--offline")
    seconds = time.monotonic() - begun

    assert [n for n, r in rows.items() if r["outcome"] == "fail"] == ["engine-answers"]
    assert "does not answer in time" in rows["engine-answers"]["detail"]
    assert rows["env-file"]["outcome"] == "ok"
    assert seconds < READ_ONLY_TIMEOUT + 2 * INFO_SECONDS + BESIDE_OTHERS


def test_route_into_a_subnet_is_named(engine: PrivateEngine, world: World) -> None:
    """A company network in the range of one of ours becomes unreachable."""
    subnet = next(
        line.partition("=")[2]
        for line in (world.root / ".env").read_text().splitlines()
        if line.startswith("DATA_SUBNET=")
    )
    for words in (
        ("link", "add", "office0", "type", "bridge"),
        ("link", "set", "office0", "up"),
        ("route", "add", subnet, "dev", "office0"),
    ):
        done = engine.reach(["ip", *words])
        assert done.returncode == 0, done.stderr
    line = f'cd {world.root} && DOCKER_HOST={engine.host} "$@"'
    call = [sys.executable, "-m", "invoke", "doctor", "--offline"]
    done = engine.reach(["sh", "-c", line, "sh", *call, "--only", "routes-free"])

    assert f"overlaps the route {subnet} of office0" in done.stdout, done.stderr


def test_accepted_finding_stays_accepted_and_another_does_not(world: World) -> None:
    only = ("--only", "env-unknown")
    with world.kept():
        file = world.root / ".env"
        file.write_text(file.read_text() + "MINE=1\n")
        world.doctor(*only, "--accept", "env-unknown=ours, read by a script")
        assert world.doctor(*only)["env-unknown"]["outcome"] == "skipped"

        file.write_text(file.read_text() + "YOURS=1\n")
        assert world.doctor(*only)["env-unknown"]["outcome"] == "warn"


def test_fix_runs_only_what_is_safe(world: World) -> None:
    """--fix closes .env again; it starts nothing and changes no value."""
    with world.kept():
        (world.root / ".env").chmod(0o644)
        world.scenario.set(RAY_CPUS="4000")
        only = ("--only", "env-private", "--only", "cpu-limits")

        rows = world.doctor(*only, "--fix")

    assert rows["env-private"]["outcome"] == "ok"
    assert rows["cpu-limits"]["outcome"] == "fail"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 0),
        (("--strict",), 10),
        (("--only", "cpu-limits"), 11),
        (("--only", "cpu-limits", "--skip", "cpu-limits"), 0),
        (("--only", "nonsense"), 2),
    ],
)
def test_exit_codes(world: World, words: tuple[str, ...], code: int) -> None:
    with world.kept():
        world.scenario.set(RAY_CPUS="4000")
        (world.root / ".env").chmod(0o644)
        done = world.run(["invoke", "doctor", "--only", "env-private", *words])

    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_gpu_check_without_a_gpu_is_well(world: World) -> None:
    """Every fact is asked of the real engine; the sequence ends at its first check."""
    done = world.run(["invoke", "gpu-check", "--json", "--overlay", "quick"])

    rows = {r["id"]: r["outcome"] for r in json.loads(done.stdout)["checks"]}
    if rows["driver"] != "skipped":
        pytest.skip("this machine has a GPU")
    assert rows.pop("gpu") == "ok"
    assert set(rows.values()) == {"skipped"}
    assert done.returncode == 0


def test_nothing_is_changed_by_looking(world: World) -> None:
    def seen() -> tuple[list[str], str]:
        files = [f"{p} {p.lstat().st_mtime_ns}" for p in sorted(world.root.rglob("*"))]
        kept = [f for f in files if "__pycache__" not in f]
        return kept, docker("ps", "--all", "--no-trunc", "--format", "{{.ID}}")

    world.doctor()
    before = seen()
    world.doctor()

    project = world.scenario.containers()
    assert before[0] == seen()[0]
    assert all(one["Id"] in before[1] for one in project)
