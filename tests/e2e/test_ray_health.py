"""Ray's image: its health check can fail, its limits are the container's."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from e2e_scenario import docker, inspected
from literal_engine import Literals, container, health
from own_images import app_image, ray_image
from waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.slow]

# The check gives up on a process after 6 s.
CHECK = (
    *("--health-cmd", "ray-health", "--health-interval", "1s"),
    *("--health-timeout", "9s", "--health-retries", "1"),
    *("--health-start-period", "60s", "--health-start-interval", "1s"),
)
SECONDS_TO_VERDICT = 1 * (1 + 9) + 1
HELD = ("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--cpus", "2")
SMALL = (*HELD, "--memory", "2g", "--shm-size", "320m")
LIMITS = ("--env", "RAY_CPUS=2", "--env", "RAY_OBJECT_STORE_MEMORY=157286400")
PROCESSES = {
    "gcs": "/gcs_server ",
    "raylet": "/raylet/raylet ",
    "dashboard": "dashboard/dashboard.py ",
    "client server": "--mode=proxy",
}


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    with ray_image() as image:
        yield image


@pytest.fixture(scope="module")
def literals(
    image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Literals]:
    """Return a maker of containers, which are removed before their *image*."""
    assert image
    folder = tmp_path_factory.mktemp("ray")
    made = Literals(name=f"ray-{os.urandom(4).hex()}", folder=folder)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def networks(literals: Literals) -> list[str]:
    """Return two networks; Ray takes the address on the first by itself."""
    return sorted(literals.network("--internal") for _ in range(2))


@pytest.fixture(scope="module")
def network(networks: list[str]) -> str:
    """Return the network that the head shares with everything else."""
    return networks[1]


@pytest.fixture(scope="module")
def head(literals: Literals, networks: list[str], network: str, image: str) -> str:
    """Return a healthy head node, on a network more than the others are on."""
    subnet = inspected("network", [network])[0]["IPAM"]["Config"][0]["Subnet"]
    where = (
        *("--network", f"name={network},alias=ray-head"),
        *("--network", networks[0]),
        *("--env", f"RAY_SUBNET={subnet}"),
    )
    volume = ("--volume", f"{literals.volume()}:/tmp/ray")
    options = (*where, *volume, *SMALL, *LIMITS, *CHECK)
    head = literals.start(*options, command=(), image=image)
    assert until(lambda: health(head) == "healthy", seconds=90), last_check(head)
    return head


def last_check(name: str) -> str:
    """Return what the newest run of a container's health check printed."""
    runs = container(name)["State"]["Health"]["Log"]
    return str(runs[-1]["Output"]) if runs else ""


def process(name: str, words: str) -> int:
    """Return the host's number of a container's process by its command line."""
    lines = docker("top", name, "-eo", "pid,args").splitlines()
    (found,) = [line for line in lines if words in f"{line} "]
    return int(found.split()[0])


@contextmanager
def frozen(name: str, words: str) -> Iterator[None]:
    number = process(name, words)
    os.kill(number, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(number, signal.SIGCONT)


def node(head: str) -> dict[str, Any]:
    """Return what the dashboard says of the only node."""
    url = "http://127.0.0.1:8265/nodes?view=summary"
    script = f"import urllib.request as u; print(u.urlopen({url!r}).read().decode())"
    (only,) = json.loads(docker("exec", head, "python", "-c", script))["data"][
        "summary"
    ]
    return dict(only["raylet"])


def says(name: str, words: str) -> bool:
    return words in docker("logs", name)


@pytest.mark.parametrize("name", PROCESSES)
def test_each_frozen_process_turns_it_unhealthy(head: str, name: str) -> None:
    """The verdict comes in time and names the process; thawed, it is healthy again."""
    with frozen(head, PROCESSES[name]):
        unhealthy = until(
            lambda: health(head) == "unhealthy", seconds=SECONDS_TO_VERDICT
        )
        told = last_check(head)
    assert unhealthy, told
    assert told.startswith(f"{name}: ")
    assert until(lambda: health(head) == "healthy", seconds=30), last_check(head)


def test_healthy_is_what_ray_status_means_by_it(head: str) -> None:
    """The guide's command agrees, and the dashboard knows the node."""
    docker("exec", head, "ray", "status")

    assert until(lambda: node(head)["state"] == "ALIVE", seconds=30)


def test_limits_of_the_environment_are_rays(head: str) -> None:
    """Ray offers the cores and the object store that the environment states."""
    resources = node(head)["resourcesTotal"]

    assert resources["CPU"] == 2.0
    assert resources["object_store_memory"] == 157286400.0


@pytest.fixture(scope="module")
def worker(literals: Literals, network: str, head: str, image: str) -> str:
    """Return a healthy worker that has joined the head."""
    assert health(head) == "healthy"
    command = ("ray", "start", "--address=ray-head:6379", "--block")
    options = ("--network", network, *SMALL, *LIMITS, *CHECK)
    worker = literals.start(*options, command=command, image=image)
    assert until(lambda: health(worker) == "healthy", seconds=90), last_check(worker)
    return worker


FETCH = """
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On
ray.init(address="auto")
here = ray.get_runtime_context().get_node_id()
(head,) = [node["NodeID"] for node in ray.nodes() if node["NodeID"] != here]
make = ray.remote(lambda: bytes(5_000_000)).options(
    scheduling_strategy=On(head, soft=False)
)
print(len(ray.get(make.remote(), timeout=60)))
"""


@pytest.mark.upgrade
def test_worker_gets_what_the_head_made(literals: Literals, worker: str) -> None:
    """The head tells others its address on the network that they share."""
    done = literals.run("exec", worker, "timeout", "90", "python", "-c", FETCH)

    assert done.stdout.split() == ["5000000"], done.stderr[-2000:]


def test_worker_answers_for_its_raylet_alone(
    literals: Literals, worker: str, head: str
) -> None:
    """Frozen, its check fails and the head's does not."""
    with frozen(worker, PROCESSES["raylet"]):
        done = literals.run("exec", worker, "ray-health")
        assert done.returncode == 1
        assert done.stderr.startswith("raylet: ")
        assert literals.run("exec", head, "ray-health").returncode == 0


@pytest.mark.upgrade
def test_client_connects_after_another_one_died(
    literals: Literals, network: str, head: str, image: str
) -> None:
    """Killed clients leave the client server able to start the next one's process."""
    script = (
        "import time; from ray.util.client_connect import connect;"
        "connect('ray-head:10001', connection_retries=1);"
        "print('connected', flush=True); time.sleep(600)"
    )
    for _ in range(3):
        options = ("--network", network, *HELD, "--memory", "512m")
        client = literals.start(*options, command=("python", "-c", script), image=image)
        connected = until(partial(says, client, "connected"), seconds=25)
        assert connected, docker("logs", client, check=False)[-2000:]
        docker("rm", "--force", client)
    assert literals.run("exec", head, "ray-health").returncode == 0


def test_frozen_ray_is_told_within_its_limit(
    literals: Literals, network: str, head: str
) -> None:
    """The application says that Ray is down, does not hang, and sees it come back."""

    def ready(app: str) -> tuple[dict[str, Any], float]:
        start = time.monotonic()
        answer = docker("exec", app, "curl", "-s", "http://localhost:8000/ready")
        told: dict[str, Any] = json.loads(answer)["dependencies"]["ray"]
        return told, time.monotonic() - start

    with app_image() as image:
        options = ("--network", network, *HELD, "--memory", "512m")
        app = literals.start(*options, command=(), image=image)
        assert until(lambda: literals.run("exec", app, *HEALTHY).returncode == 0)
        assert until(lambda: ready(app)[0]["up"], seconds=60)

        with frozen(head, PROCESSES["client server"]):
            told, seconds = ready(app)
            assert told["reason"] == "no answer within 2 s"
            assert seconds < 6
            docker("exec", app, *HEALTHY)
        assert until(lambda: ready(app)[0]["up"], seconds=60)
        docker("rm", "--force", app)


HEALTHY = ("curl", "-f", "http://localhost:8000/health")


def test_stopped_it_ends_soon_and_starts_again_on_its_files(head: str) -> None:
    """SIGTERM reaches Ray through init; what a killed session left does not matter."""
    begin = time.monotonic()
    docker("stop", "--time", "30", head)
    assert time.monotonic() - begin < 20

    docker("start", head)
    assert until(lambda: health(head) == "healthy", seconds=90), last_check(head)
    docker("kill", head)
    docker("start", head)
    assert until(lambda: health(head) == "healthy", seconds=90), last_check(head)
