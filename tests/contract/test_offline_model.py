"""The offline overlay changes images and sizes and nothing else of the model."""

from typing import Any

import pytest
from compose_models import rendered
from repository import ROOT, STAGES, own_files

SAME = (
    "cap_add",
    "cap_drop",
    "command",
    "depends_on",
    "healthcheck",
    "networks",
    "ports",
    "read_only",
    "restart",
    "secrets",
    "security_opt",
    "tmpfs",
    "user",
    "volumes",
)


def models(stage: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the model of *stage* with real images, and with stand-ins."""
    full, offline = own_files(stage), own_files(stage, offline=True)
    return rendered(full, root=ROOT), rendered(offline, root=ROOT)


@pytest.mark.compose
@pytest.mark.parametrize("stage", STAGES)
def test_offline_keeps_the_topology(stage: str) -> None:
    """Services, networks, volumes, ports, users, secrets and checks are the same."""
    full, offline = models(stage)

    assert offline["services"].keys() == full["services"].keys()
    for part in ("networks", "volumes", "secrets"):
        assert offline[part] == full[part]
    for name, service in full["services"].items():
        other = offline["services"][name]
        assert {k: other.get(k) for k in SAME} == {k: service.get(k) for k in SAME}


@pytest.mark.compose
@pytest.mark.parametrize("stage", STAGES)
def test_limits_are_a_quarter(stage: str) -> None:
    """The guide's four services shrink alike, and so does what counts against them."""
    full, offline = models(stage)

    for name in ("memgraph", "questdb", "eventstore", "ray-head"):
        before = full["services"][name]["deploy"]["resources"]
        after = offline["services"][name]["deploy"]["resources"]
        for kind in ("limits", "reservations"):
            assert int(after[kind]["memory"]) * 4 == int(before[kind]["memory"])
    before, after = (model["services"]["ray-head"] for model in (full, offline))
    assert int(after["shm_size"]) * 4 == int(before["shm_size"])
    key = "RAY_OBJECT_STORE_MEMORY"
    assert int(after["environment"][key]) * 4 == int(before["environment"][key])


@pytest.mark.compose
@pytest.mark.parametrize("stage", STAGES)
def test_the_offline_python_is_one_for_all(stage: str) -> None:
    """The app and Ray, which must agree, are built with the offline Python."""
    _, offline = models(stage)

    built = [offline["services"][name]["build"] for name in ("app", "ray-head")]
    assert [build["args"]["PYTHON_VERSION"] for build in built] == ["3.11", "3.11"]
