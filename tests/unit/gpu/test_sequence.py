"""The checks stop at the one that is at fault on each machine, and only there."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from compose_ops.gpu.container_checks import ray_counts
from compose_ops.gpu.facts import (
    Attempt,
    Host,
    Request,
    StatedFacts,
    Toolkit,
    from_json,
)
from compose_ops.gpu.sequence import CHECKS, run
from compose_ops.verdicts import unprefixed

MACHINES = sorted((Path(__file__).parent / "machines").glob("*.json"))
SHAPES = {
    "none",
    "one",
    "eight",
    "version-mismatch",
    "missing-toolkit",
    "wsl2",
    "lost-gpu",
    "mig",
}


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize("path", MACHINES, ids=lambda p: p.stem)
def test_sequence_stops_where_the_fault_is(path: Path) -> None:
    machine = read(path)
    wanted = machine["expect"]

    rows = run(from_json(machine["facts"]))

    bad = [row for row in rows if row.outcome in {"fail", "crashed"}]
    assert [row.id for row in bad] == ([wanted["stops_at"]] if bad else [])
    assert bool(bad) == bool(wanted["stops_at"])
    told = " ".join(v.detail for row in rows for v in row.verdicts)
    assert wanted["says"] in told
    repair = wanted["repair"] if os.geteuid() else unprefixed(wanted["repair"])
    assert all(row.repair and repair in row.repair for row in bad)
    assert all("\n" not in v.detail for row in rows for v in row.verdicts)


@pytest.mark.parametrize("path", MACHINES, ids=lambda p: p.stem)
def test_nothing_after_a_failing_check_is_judged(path: Path) -> None:
    rows = run(from_json(read(path)["facts"]))

    outcomes = [row.outcome for row in rows]
    first = next((i for i, o in enumerate(outcomes) if o == "fail"), len(outcomes))
    assert set(outcomes[first + 1 :]) <= {"skipped"}
    assert [row.id for row in rows] == [check.id for check in CHECKS]


@pytest.mark.parametrize("path", MACHINES, ids=lambda p: p.stem)
def test_machine_says_where_its_facts_come_from(path: Path) -> None:
    machine = read(path)

    assert machine["made"] in {"recorded", "constructed from vendor documents"}
    assert machine["source"]


def test_every_shape_and_every_check_has_a_machine() -> None:
    stops = {read(path)["expect"]["stops_at"] for path in MACHINES}

    assert {path.stem for path in MACHINES} >= SHAPES
    assert {check.id for check in CHECKS} - stops == {"gpu"}


def test_no_gpu_is_a_failure_only_when_one_is_required() -> None:
    nothing = StatedFacts(host=Host(trouble="absent"))

    assert run(nothing)[0].outcome == "ok"
    assert run(nothing, require=True)[0].outcome == "fail"


def test_checks_of_another_machine_are_skipped() -> None:
    """What its engine hands out is judged; without a GPU that is a normal result."""
    with_gpu = StatedFacts(host=None, toolkit=Toolkit(runtimes=("nvidia", "runc")))
    rows = {row.id: row.outcome for row in run(with_gpu)}
    assert {rows[name] for name in ("gpu", "driver", "devices")} == {"skipped"}
    assert rows["toolkit"] == "ok"

    without = StatedFacts(host=None)
    assert {row.outcome for row in run(without)} == {"ok", "skipped"}
    assert run(without, require=True)[0].outcome == "fail"


def test_only_a_request_by_cdi_keeps_its_gpu_at_a_daemon_reload() -> None:
    """A CDI file alone is no proof that the request uses it."""
    folder = Path(__file__).parent / "machines"
    warned = {
        name: [
            row.outcome
            for row in run(from_json(read(folder / f"{name}.json")["facts"]))
            if row.id == "toolkit"
        ]
        for name in ("cdi-file-unused", "requested-by-cdi")
    }

    assert warned == {"cdi-file-unused": ["warn"], "requested-by-cdi": ["ok"]}


def test_root_is_told_no_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of root's alone may lack it."""
    mismatch = StatedFacts(host=Host(module="550.1", trouble="mismatch"))

    for user, repair in ((0, "reboot"), (1000, "sudo reboot")):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        assert run(mismatch)[1].repair == repair
    assert unprefixed("echo 1 | sudo tee f && sudo x") == "echo 1 | tee f && x"


@pytest.mark.parametrize("printed", ["", "goodbye"])
def test_ray_that_prints_no_number_counts_none(printed: str) -> None:
    facts = StatedFacts(
        service="ray-head",
        requests=(Request("ray-head", 1),),
        ray_gpus=Attempt(0, printed),
    )

    (found,) = ray_counts(facts)

    assert (found.outcome, "Ray counts 0 GPUs" in found.detail) == ("fail", True)
