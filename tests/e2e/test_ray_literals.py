"""The guide's lines for Ray, run on real Ray: why the ledger's entries must be."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_scenario import docker
from guide_coverage import load_table
from literal_engine import BASE, Literals, container
from repository import ROOT
from waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.upgrade]

CUDA = "nvidia/cuda:11.8.0-cudnn8-runtime-ubuntu22.04"
SMALL = ("--memory", "2g", "--shm-size", "256m")
HEAD = ("ray", "start", "--head", "--port=6379", "--dashboard-host=0.0.0.0", "--block")
STORE = "--object-store-memory=100000000"


@pytest.fixture(scope="module")
def ray_image() -> Iterator[str]:
    """Build Ray's image on the local base, without torch."""
    tag = f"localhost/jimbot-literal-ray-{os.urandom(4).hex()}"
    docker(
        *("build", "--quiet", "--tag", tag),
        *("--build-context", f"{CUDA}=docker-image://{BASE}"),
        *("--build-arg", "PYTHON_VERSION=3.11", "--build-arg", "RAY_TORCH="),
        str(ROOT / "docker/services/ray"),
    )
    yield tag
    docker("image", "rm", tag, check=False)


@pytest.fixture
def literals(tmp_path: Path) -> Iterator[Literals]:
    """Return a maker of throw-away containers; all of them are removed afterwards."""
    made = Literals(name=f"literal-{os.urandom(4).hex()}", folder=tmp_path)
    yield made
    made.remove()


def ray_answers(literals: Literals, head: str) -> bool:
    """Tell whether `ray status` in *head* ends with 0."""
    return literals.run("exec", head, "ray", "status").returncode == 0


def test_ray_start_without_block_ends(literals: Literals, ray_image: str) -> None:
    """The guide's command ends by itself with 0, and its container with it."""
    (literal,) = (row.value for row in load_table() if '"ray", "start"' in row.text)
    assert "--block" not in literal
    command = ("ray", "start", "--head", "--port=6379", "--dashboard-host=0.0.0.0")

    head = literals.start(*SMALL, command=(*command, STORE), image=ray_image)

    assert until(lambda: container(head)["State"]["Status"] == "exited", seconds=90)
    assert container(head)["State"]["ExitCode"] == 0


def test_an_object_store_as_large_as_shared_memory_goes_to_disk(
    literals: Literals, ray_image: str
) -> None:
    """A store as large as shared memory is put into /tmp, a smaller one is not."""
    command = ("ray", "start", "--head", "--object-store-memory=134217728")

    equal, larger = (
        literals.once("--shm-size", size, command=command, image=ray_image)
        for size in ("134217728", "167772160")
    )

    assert "instead of /dev/shm" in equal.stdout + equal.stderr
    assert "instead of /dev/shm" not in larger.stdout + larger.stderr
    assert larger.returncode == 0


def test_ray_status_misses_a_frozen_dashboard(
    literals: Literals, ray_image: str
) -> None:
    """The guide's check stays healthy while nobody serves the dashboard's port."""
    head = literals.start(*SMALL, command=(*HEAD, STORE), image=ray_image)
    assert until(lambda: ray_answers(literals, head), seconds=90)
    assert until(lambda: dashboard_process(head), seconds=60)
    frozen = dashboard_process(head)
    assert frozen

    os.kill(frozen, signal.SIGSTOP)
    try:
        assert ray_answers(literals, head)
        assert literals.run("exec", head, "ray-health").returncode != 0
    finally:
        os.kill(frozen, signal.SIGCONT)
    assert until(
        lambda: literals.run("exec", head, "ray-health").returncode == 0, seconds=60
    )


def dashboard_process(head: str) -> int:
    """Return the host's number of the dashboard's own process; 0 before it is there."""
    listed = subprocess.run(
        ["docker", "top", head, "-eo", "pid,args"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    found = [line for line in listed if "dashboard/dashboard.py" in line]
    return int(found[0].split()[0]) if found else 0


def test_a_gcs_address_needs_a_local_raylet(literals: Literals, ray_image: str) -> None:
    """From a container of its own the guide's address does not connect."""
    network = literals.network("--internal")
    join = ("--network", network)
    head = literals.start(
        *join,
        *SMALL,
        "--network-alias",
        "ray-head",
        command=(*HEAD, STORE),
        image=ray_image,
    )
    assert until(lambda: ray_answers(literals, head), seconds=90)

    def connects(address: str) -> bool:
        script = f"import ray; ray.init(address={address!r}); print(ray.nodes())"
        command = ("timeout", "30", "python", "-c", script)
        options = (*join, *SMALL, "--env", "RAY_raylet_start_wait_time_s=5")
        return bool(
            literals.once(*options, command=command, image=ray_image).returncode == 0
        )

    assert until(lambda: connects("ray://ray-head:10001"), seconds=60)
    assert not connects("ray-head:6379")
