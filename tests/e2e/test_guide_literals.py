"""The guide's own lines on a real engine: why the ledger's entries must be."""

import json
import os
import socket
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from e2e_scenario import docker, inspected
from guide_coverage import load_table
from literal_engine import BASE, Literals, container, health
from waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.upgrade]

SERVE = ("python3", "-m", "http.server", "8000")
FOREVER = ("sleep", "infinity")


@pytest.fixture
def literals(tmp_path: Path) -> Iterator[Literals]:
    """Return a maker of throw-away containers; all of them are removed afterwards."""
    made = Literals(name=f"literal-{os.urandom(4).hex()}", folder=tmp_path)
    yield made
    made.remove()


def guide(path: str) -> Any:
    """Return the first value that the guide gives at *path*."""
    return next(row.value for row in load_table() if row.path == path)


def test_a_short_port_opens_every_address(literals: Literals) -> None:
    """Without an address a port is published on all of the host's."""
    short = literals.start("--publish", "8000", command=SERVE)
    bound = literals.start("--publish", "127.0.0.1::8000", command=SERVE)

    addresses = [
        {
            one["HostIp"]
            for one in container(name)["NetworkSettings"]["Ports"]["8000/tcp"]
        }
        for name in (short, bound)
    ]

    assert "0.0.0.0" in addresses[0]
    assert addresses[1] == {"127.0.0.1"}


def test_a_fixed_subnet_cannot_be_had_twice(literals: Literals) -> None:
    """The guide's subnets serve one project of a machine."""
    subnet = _subnet(literals.network())

    second = literals.run("network", "create", "--subnet", subnet, literals.name)

    assert second.returncode != 0
    assert "overlaps" in second.stderr


def test_an_automatic_subnet_can_take_a_fixed_one(literals: Literals) -> None:
    """What the engine handed to a network that names none cannot be fixed any more."""
    automatic = ip_network(_subnet(literals.network()))
    fixed = str(next(automatic.subnets(new_prefix=24)))

    wanted = literals.run("network", "create", "--subnet", fixed, literals.name)

    assert wanted.returncode != 0
    assert "overlaps" in wanted.stderr


def _subnet(network: str) -> str:
    return str(inspected("network", [network])[0]["IPAM"]["Config"][0]["Subnet"])


def test_a_gateway_that_nobody_has_closes_the_way_out(literals: Literals) -> None:
    """Nothing leaves such a bridge, and the host still reaches its published ports."""
    spare = literals.network()
    prefix = _subnet(spare).rsplit(".", 1)[0]
    docker("network", "rm", spare)
    ordinary = literals.network()
    closed = literals.network(
        *("--subnet", f"{prefix}.0/29", "--gateway", f"{prefix}.1"),
        *("--aux-address", f"DefaultGatewayIPv4={prefix}.6"),
    )
    publish = ("--publish", "127.0.0.1::8000")
    with socket.create_server(("0.0.0.0", 0)) as server:
        address = _own_address()
        ask = ("bash", "-c", f"exec 3<>/dev/tcp/{address}/{server.getsockname()[1]}")
        way_out = [
            literals.once("--network", network, command=("timeout", "3", *ask))
            for network in (ordinary, closed)
        ]
    inside = literals.start("--network", closed, *publish, command=SERVE)
    port = container(inside)["NetworkSettings"]["Ports"]["8000/tcp"][0]["HostPort"]

    assert [done.returncode == 0 for done in way_out] == [True, False]
    assert until(lambda: _connects(int(port)), seconds=20)


def _own_address() -> str:
    """Return an address of this host that lies on no Docker network's subnet."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


def _connects(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_internal_networks_publish_nothing(literals: Literals) -> None:
    """The port of a service on internal networks alone is dropped without a word."""
    internal = literals.network("--internal")
    publish = ("--publish", "127.0.0.1::8000")
    kept_in = literals.start("--network", internal, *publish, command=SERVE)
    opened = literals.start(
        *("--network", internal, "--network", literals.network(), *publish),
        command=SERVE,
    )

    ports = [container(name)["NetworkSettings"]["Ports"] for name in (kept_in, opened)]

    assert not ports[0].get("8000/tcp")
    assert ports[1]["8000/tcp"]


def test_an_echo_health_check_is_always_healthy(literals: Literals) -> None:
    """The guide's check is healthy in an image that has no mgconsole at all."""
    literal = guide("services.memgraph.healthcheck.test")
    piped = ["CMD-SHELL", "echo 'MATCH (n) RETURN n LIMIT 1;' | mgconsole || exit 1"]
    timing = {"interval": "1s", "timeout": "5s", "retries": 1}
    done = literals.compose(
        {
            "services": {
                name: {
                    "image": BASE,
                    "init": True,
                    "command": list(FOREVER),
                    "healthcheck": {"test": test, **timing},
                }
                for name, test in (("literal", literal), ("piped", piped))
            }
        },
        *("up", "--detach"),
    )

    assert done.returncode == 0, done.stderr
    assert until(lambda: health(f"{literals.name}-literal-1") == "healthy")
    assert until(lambda: health(f"{literals.name}-piped-1") == "unhealthy")


def test_the_first_verdict_waits_a_whole_interval(literals: Literals) -> None:
    """With the guide's 30 s a healthy container is `starting` for as long."""
    check = ("--health-cmd", "true", "--health-interval", "30s")
    early = ("--health-start-period", "40s", "--health-start-interval", "1s")
    slow = literals.start(*check, "--health-start-period", "40s", command=FOREVER)
    fast = literals.start(*check, *early, command=FOREVER)

    assert until(lambda: health(fast) == "healthy", seconds=20)
    assert health(slow) == "starting"


def test_a_declared_volume_without_a_name_is_left_behind(literals: Literals) -> None:
    """Each container of an image with VOLUME gets a new one, if none is mounted."""
    tag = f"localhost/jimbot-{literals.name}"
    done = literals.build(
        f'FROM {BASE}\nVOLUME ["/var/log/store"]\n',
        "--tag",
        tag,
        context=literals.folder,
    )
    assert done.returncode == 0, done.stderr
    own = literals.volume()
    named = ("--volume", f"{own}:/var/log/store")

    mounts = [
        container(literals.start(*options, command=FOREVER, image=tag))["Mounts"]
        for options in ((), (), named, named)
    ]

    names = [mount["Name"] for (mount,) in mounts]
    assert len(set(names[:2])) == 2
    assert names[2:] == [own, own]


FOUR = ("CHOWN", "SETUID", "SETGID", "DAC_OVERRIDE")
STEP_DOWN = (
    "find /data ! -user 10001 -exec chown 10001:10001 {} + && exec "
    "setpriv --reuid 10001 --regid 10001 --clear-groups sh -ec "
    "'umask 077; mkdir -p /data/db; echo more >> /data/db/table'"
)


@pytest.mark.parametrize("without", [None, *FOUR])
def test_stepping_down_from_root_needs_four_capabilities(
    literals: Literals, without: str | None
) -> None:
    """With the four both starts work; without any one the first or second fails."""
    added = [word for cap in FOUR if cap != without for word in ("--cap-add", cap)]
    mount = ("--volume", f"{literals.volume()}:/data")
    options = ("--cap-drop", "ALL", *added, *mount)

    starts = [literals.once(*options, command=("sh", "-ec", STEP_DOWN)) for _ in "12"]

    worked = all(done.returncode == 0 for done in starts)
    assert worked is (without is None)


def test_more_cpus_than_the_machine_has_are_refused(literals: Literals) -> None:
    """`cpus: '4'` is an error on a machine with fewer."""
    cores = int(docker("info", "--format", "{{.NCPU}}"))

    more = literals.once("--cpus", str(cores + 1), command=("true",))
    all_of_them = literals.once("--cpus", str(cores), command=("true",))

    assert more.returncode != 0
    assert "CPUs" in more.stderr
    assert all_of_them.returncode == 0


def test_two_replicas_cannot_hold_one_port(literals: Literals) -> None:
    """The guide's port and its two replicas exclude each other."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    service = {
        "image": BASE,
        "init": True,
        "command": list(FOREVER),
        "ports": [f"127.0.0.1:{port}:8000"],
        "deploy": {"replicas": 2},
    }

    done = literals.compose({"services": {"app": service}}, "up", "--detach")

    assert done.returncode != 0
    assert "already allocated" in done.stderr


def test_a_gpu_reservation_is_refused_without_a_driver(literals: Literals) -> None:
    """The base file's reservation keeps Ray from starting on a machine without GPU."""
    runtimes = json.loads(docker("info", "--format", "{{json .Runtimes}}"))
    done = literals.once("--gpus", "1", command=("true",))

    assert (done.returncode == 0) is ("nvidia" in runtimes)
    if "nvidia" not in runtimes:
        assert "device driver" in done.stderr


def test_a_tmpfs_hides_the_volume_below_it(literals: Literals) -> None:
    """Volume and tmpfs on one target are accepted, and the volume stays empty."""
    literal = [guide("services.ray-head.tmpfs[/tmp/ray:size=2G]")]
    service = {
        "image": BASE,
        "command": ["touch", "/tmp/ray/session"],
        "volumes": ["ray_data:/tmp/ray"],
        "tmpfs": literal,
    }
    document = {"services": {"ray": service}, "volumes": {"ray_data": {}}}

    done = literals.compose(document, "up", "--exit-code-from", "ray")
    mount = ("--volume", f"{literals.name}_ray_data:/data:ro")
    kept = literals.once(*mount, command=("ls", "-A", "/data"))

    assert done.returncode == 0, done.stderr
    assert kept.stdout == ""


def test_a_tmpfs_cannot_execute(literals: Literals) -> None:
    """Ray's environments below /tmp/ray are programs, a plain tmpfs runs none."""
    run = ("sh", "-c", "cp /bin/true /tmp/ray/true && /tmp/ray/true")

    plain = literals.once("--tmpfs", "/tmp/ray:size=8m", command=run)
    executable = literals.once("--tmpfs", "/tmp/ray:size=8m,exec", command=run)

    assert "Permission denied" in plain.stderr
    assert executable.returncode == 0


@pytest.mark.parametrize(
    ("there", "copied"),
    [
        ("docker/services/app/requirements.txt", "requirements.txt ."),
        ("config/memgraph.conf", "memgraph.conf /etc/memgraph/memgraph.conf"),
    ],
)
def test_a_file_outside_its_context_cannot_be_copied(
    literals: Literals, there: str, copied: str
) -> None:
    """The guide's COPY lines name files that its own tree keeps elsewhere."""
    assert copied in [row.value for row in load_table()]
    context = literals.folder / "context"
    (context / there).parent.mkdir(parents=True)
    (context / there).write_text("")
    target = copied.split()[1]

    literal = literals.build(f"FROM {BASE}\nCOPY {copied}\n", context=context)
    here = literals.build(f"FROM {BASE}\nCOPY {there} {target}\n", context=context)

    assert "not found" in literal.stderr
    assert here.returncode == 0, here.stderr


def test_a_stage_that_is_not_there_cannot_be_built(literals: Literals) -> None:
    """The guide's override builds `development`, its Dockerfile has no such stage."""
    target = ("--target", guide("services.app.build.target"))
    stages = f"FROM {BASE} AS builder\nRUN true\nFROM {BASE}\n"

    literal = literals.build(stages, *target, context=literals.folder)
    cured = literals.build(
        f"{stages.rstrip()} AS runtime\nFROM runtime AS development\nUSER root\n",
        *target,
        context=literals.folder,
    )

    assert literal.returncode != 0
    assert "development" in literal.stderr
    assert cured.returncode == 0, cured.stderr


def test_a_mount_hides_the_code_of_the_image(literals: Literals) -> None:
    """With the guide's mount every image runs what the folder of the host holds."""
    source, target, _ = guide("services.app.volumes[./jimbot:/app/jimbot:ro]").split(
        ":"
    )
    version = f"{target}/version"
    (literals.folder / source).mkdir()
    (literals.folder / source / "version").write_text("of the host\n")
    lines = f"FROM {BASE}\nRUN mkdir -p {target} && echo of the image >{version}\n"
    image = literals.build(lines, "--quiet", context=literals.folder).stdout.strip()
    mount = ("--volume", f"{literals.folder / source}:{target}:ro")

    mounted = literals.once(*mount, command=("cat", version), image=image)
    bare = literals.once(command=("cat", version), image=image)

    assert mounted.stdout == "of the host\n"
    assert bare.stdout == "of the image\n"


def test_a_mistyped_volume_is_saved_empty(literals: Literals) -> None:
    """The guide's backup of a volume that is not there ends with 0."""
    name = f"{literals.name}-mistyped"
    archive = literals.folder / "backup.tar.gz"
    mounts = ("--volume", f"{name}:/data", "--volume", f"{literals.folder}:/backup")

    done = literals.once(
        *mounts, command=("tar", "czf", "/backup/backup.tar.gz", "-C", "/data", ".")
    )
    docker("volume", "rm", name)

    assert done.returncode == 0
    assert archive.stat().st_size < 200


def test_the_literal_requirements_resolve_past_ray(literals: Literals) -> None:
    """Unpinned, Ray 2.9 gets a numpy and a pyarrow from after its time."""
    row = next(row for row in load_table() if "ray[default,tune]" in row.text)
    ray = next(word for word in row.text.split() if word.startswith("ray["))
    resolve = (
        "python3 -m venv /tmp/venv && "
        f"/tmp/venv/bin/pip install --dry-run --quiet --report - '{ray}'"
    )

    done = literals.once(command=("sh", "-ec", resolve))

    assert done.returncode == 0, done.stderr
    resolved = {
        one["metadata"]["name"]: int(one["metadata"]["version"].split(".")[0])
        for one in json.loads(done.stdout)["install"]
    }
    assert resolved["ray"] == 2
    assert resolved["numpy"] >= 2
    assert resolved["pyarrow"] >= 21
