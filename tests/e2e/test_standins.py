"""The stand-ins' images: shaped as the real ones, and durable under a kill."""

import json
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from e2e_scenario import docker, inspected
from waiting import eventually

pytestmark = pytest.mark.docker

DEADLINE = 30.0  # seconds
MEMORY_LIMIT = 40  # MiB
PRIVILEGES = ("--cap-drop=ALL", "--security-opt=no-new-privileges:true")


@dataclass(frozen=True, slots=True)
class Image:
    """One stand-in, and how a test writes to it and counts."""

    name: str
    data: str
    owner: str
    flags: tuple[str, ...]
    health: str
    write: str
    count: str
    exit_code: int


MEMGRAPH = Image(
    name="localhost/jimbot-standin-memgraph:latest",
    data="/var/lib/memgraph",
    owner="101:103",
    flags=(),
    health="echo 'MATCH (n) RETURN n LIMIT 1;' | mgconsole",
    write="echo 'CREATE (n:N {id: 1});' | mgconsole",
    count="echo 'MATCH (n) RETURN count(n);' | mgconsole --output-format=csv | tail -1",
    exit_code=0,
)
REST = (
    "exec 3<>/dev/tcp/127.0.0.1/9000 && printf 'GET /exec?query={} HTTP/1.0\\r\\n"
    "Connection: close\\r\\n\\r\\n' >&3 && "
)
QUESTDB = Image(
    name="localhost/jimbot-standin-questdb:7.3",
    data="/var/lib/questdb",
    owner="10001:10001",
    flags=tuple(
        f"--cap-add={name}" for name in ("CHOWN", "SETUID", "SETGID", "DAC_OVERRIDE")
    ),
    health=REST.format("SELECT%%201") + "read -r l <&3 && [[ $l == *' 200 '* ]]",
    write=REST.format("CREATE%%20TABLE%%20IF%%20NOT%%20EXISTS%%20t(x%%20INT)")
    + "cat <&3 >/dev/null; "
    + REST.format("INSERT%%20INTO%%20t%%20VALUES(1)")
    + "grep -q OK <&3",
    count=REST.format("SELECT%%20count()%%20FROM%%20t")
    + r"grep -o '\[\[[0-9]*' <&3 | tr -d '['",
    exit_code=143,
)
EVENTSTORE = Image(
    name="localhost/jimbot-standin-eventstore:23.10.0-bookworm-slim",
    data="/var/lib/eventstore",
    owner="1000:1000",
    flags=(
        "--env=EVENTSTORE_INSECURE=true",
        "--env=EVENTSTORE_ENABLE_ATOM_PUB_OVER_HTTP=true",
    ),
    health="curl -fs http://localhost:2113/health/live",
    write="curl -fs http://localhost:2113/streams/s -H ES-EventType:t"
    " -H Content-Type:application/json -d '{}'",
    count="curl -fs http://localhost:2113/stats | grep -o 'events.: [0-9]*'"
    " | grep -o '[0-9]*'",
    exit_code=0,
)
IMAGES = (MEMGRAPH, QUESTDB, EVENTSTORE)


@dataclass(slots=True)
class Runs:
    """Containers and volumes of one test, all with names of their own."""

    containers: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)

    def volume(self) -> str:
        """Make an empty volume."""
        name = f"standin-test-{uuid.uuid4().hex[:12]}"
        docker("volume", "create", name)
        self.volumes.append(name)
        return name

    def start(self, image: Image, volume: str, *more: str) -> str:
        """Start a container with the stack's privileges; return its id."""
        flags = (*PRIVILEGES, *image.flags, f"--volume={volume}:{image.data}", *more)
        container = docker("run", "--detach", *flags, image.name).strip()
        self.containers.append(container)
        return container

    def remove(self) -> None:
        """Remove what was made."""
        if self.containers:
            docker("rm", "--force", "--volumes", *self.containers)
        if self.volumes:
            docker("volume", "rm", *self.volumes)


@pytest.fixture
def runs() -> Iterator[Runs]:
    runs = Runs()
    yield runs
    runs.remove()


def inside(container: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a bash line in a container."""
    return subprocess.run(
        ["docker", "exec", container, "bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )


def wait_until_healthy(container: str, image: Image) -> None:
    eventually(
        lambda: inside(container, image.health).returncode == 0,
        evidence=lambda: docker("logs", container, check=False),
    )


def wait_until_ended(container: str) -> int:
    return int(docker("wait", container))


def write(container: str, image: Image) -> None:
    done = inside(container, image.write)
    assert done.returncode == 0, done.stdout + done.stderr


def count(container: str, image: Image) -> int:
    done = inside(container, image.count)
    return int(done.stdout.strip() or -1)


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_writes_survive_a_kill_and_a_stop_on_one_volume(
    runs: Runs, image: Image
) -> None:
    """An empty volume, a kill, a second start, a clean stop, a third start."""
    volume = runs.volume()
    container = runs.start(image, volume)
    wait_until_healthy(container, image)
    write(container, image)
    write(container, image)
    docker("kill", container)

    container = runs.start(image, volume)
    wait_until_healthy(container, image)
    assert count(container, image) == 2
    write(container, image)
    docker("stop", container)
    assert inspected("container", [container])[0]["State"]["ExitCode"] == (
        image.exit_code
    )

    container = runs.start(image, volume)
    wait_until_healthy(container, image)
    assert count(container, image) == 3


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_data_belongs_to_the_real_images_user(runs: Runs, image: Image) -> None:
    """Numeric owners, since a restore keeps these; one small process serves."""
    container = runs.start(image, runs.volume())
    wait_until_healthy(container, image)
    owners = inside(container, f"find {image.data} -mindepth 1 -printf '%U:%G\\n'")
    user = inside(container, "stat -c %u:%g /proc/1")
    memory = docker("stats", "--no-stream", "--format={{.MemUsage}}", container)

    assert set(owners.stdout.split()) == {image.owner}
    assert user.stdout.strip() == image.owner
    assert float(memory.partition("MiB")[0]) < MEMORY_LIMIT
    assert len(docker("top", container).splitlines()) == 2
    assert "stand-in" in docker("logs", container, check=False)


@pytest.mark.parametrize(
    ("image", "present", "absent"),
    [
        (MEMGRAPH, ["curl", "/usr/bin/mgconsole", "/usr/lib/memgraph/memgraph"], []),
        (QUESTDB, ["bash", "gosu", "/app/bin/java"], ["curl", "wget", "nc"]),
        (EVENTSTORE, ["curl", "/opt/eventstore/EventStore.ClusterNode"], ["wget"]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_image_has_what_the_real_one_has(
    image: Image, present: list[str], absent: list[str]
) -> None:
    """A health check that needs more than the real image fails here too."""
    script = "for name; do command -v $name >/dev/null && echo $name; done; true"
    words = ("run", "--rm", "--network=none", "--entrypoint=bash", image.name)
    found = docker(*words, "-c", script, "-", *present, *absent)

    assert found.split() == present


def test_entry_points_and_ports_are_the_real_ones() -> None:
    """What a compose file or a Dockerfile on top relies on."""
    memgraph, questdb, eventstore = (
        inspected("image", [image.name])[0]["Config"] for image in IMAGES
    )

    assert memgraph["Entrypoint"] == ["/usr/lib/memgraph/memgraph"]
    assert not memgraph["Cmd"]
    assert memgraph["User"] == "memgraph"
    assert not memgraph.get("Volumes")
    assert not memgraph.get("Healthcheck")
    assert set(memgraph["ExposedPorts"]) == {"7687/tcp"}
    assert questdb["User"] == ""
    assert set(questdb["ExposedPorts"]) == {"9000/tcp", "8812/tcp", "9009/tcp"}
    assert not questdb.get("Healthcheck")
    assert eventstore["User"] == "eventstore"
    assert set(eventstore["ExposedPorts"]) == {"1112/tcp", "1113/tcp", "2113/tcp"}
    assert set(eventstore["Volumes"]) == {"/var/lib/eventstore", "/var/log/eventstore"}
    assert "health/live" in json.dumps(eventstore["Healthcheck"])


@pytest.mark.parametrize(
    ("image", "works"), [(MEMGRAPH, False), (QUESTDB, True), (EVENTSTORE, False)]
)
def test_data_of_root_is_refused_or_taken_over(
    runs: Runs, image: Image, *, works: bool
) -> None:
    """A restore that forgets the owners: only QuestDB's entry point repairs it."""
    volume = runs.volume()
    container = runs.start(image, volume)
    wait_until_healthy(container, image)
    write(container, image)
    docker("stop", container)
    docker(
        *("run", "--rm", "--network=none", "--user=0", "--entrypoint=chown"),
        *(f"--volume={volume}:/data", image.name, "-R", "0:0", "/data"),
    )
    container = runs.start(image, volume)

    if works:
        wait_until_healthy(container, image)
        assert count(container, image) == 1
    else:
        assert wait_until_ended(container) == 1


def test_eventstore_without_a_certificate_ends(runs: Runs) -> None:
    """The guide's default of EVENTSTORE_INSECURE, in the real node's words."""
    container = runs.start(EVENTSTORE, runs.volume(), "--env=EVENTSTORE_INSECURE=false")

    assert wait_until_ended(container) == 1
    assert "A certificate is required unless insecure mode" in docker("logs", container)


def test_memgraphs_arguments_of_the_guide_are_refused() -> None:
    """`memgraph` as an argument and `--config` are errors."""
    for words, said in [
        (("memgraph",), "positional argument"),
        (("--config", "/etc/memgraph/memgraph.conf"), "unknown command line flag"),
    ]:
        flags = ("--rm", *PRIVILEGES, MEMGRAPH.name)
        done = subprocess.run(
            ["docker", "run", *flags, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )
        assert done.returncode == 1
        assert said in done.stderr
