"""What checks say of machines that a test cannot make: constructed facts, judged."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from fakes import container, network
from judging import OFFLINE, STACK, judge

from compose_ops.docker.api import EngineInfo, Image, Output
from compose_ops.doctor.facts.client import Builder
from compose_ops.doctor.facts.disks import Disk
from compose_ops.doctor.facts.engine import place, shared
from compose_ops.doctor.facts.host import Handles, Kernel
from compose_ops.doctor.facts.leftovers import BackupAge, Journals
from compose_ops.doctor.facts.network import Route, parse_routes
from compose_ops.doctor.facts.project import HelperImage
from compose_ops.doctor.facts.settings import Interpolated, Settings
from compose_ops.doctor.facts.state import DamagedState
from compose_ops.doctor.registry import NotMeasuredError
from compose_ops.project.model import Model
from compose_ops.runtime.engine_location import (
    EngineAnswer,
    EngineLocation,
    elsewhere,
    parse_answer,
)
from compose_ops.state.recovery import Unfinished

GIB = 1024**3
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SERVICES = ("memgraph", "questdb", "app")


def info(**changes: Any) -> EngineInfo:
    raw: dict[str, Any] = {
        "MemoryLimit": True,
        "CpuCfsQuota": True,
        "Driver": "overlay2",
    }
    raw |= {"IPv4Forwarding": True, "SystemTime": "2026-11-23T12:00:00.5Z"}
    raw |= changes.pop("raw", {})
    names: dict[str, Any] = {
        "version": "26.1.5",
        "cpus": 8,
        "memory": 32 * GIB,
    }
    return EngineInfo("ID", runtimes=("runc",), raw=raw, **(names | changes))


def answer(**changes: Any) -> EngineAnswer:
    begun = NOW.timestamp()
    names: dict[str, Any] = {
        "trouble": "",
        "words": "",
        "info": info(),
    }
    return EngineAnswer(**(names | {"begun": begun, "ended": begun + 1} | changes))


def model(limit: int, reserved: int) -> Model:
    """Return a model whose three services share limits and reservations, in GiB."""

    def service(share: float) -> dict[str, Any]:
        limits, kept = (
            {"memory": str(int(n * share * GIB))} for n in (limit, reserved)
        )
        return {"deploy": {"resources": {"limits": limits, "reservations": kept}}}

    shares = zip(SERVICES, (0.5, 0.25, 0.25), strict=True)
    services = {n: {"image": f"{n}:1", **service(s)} for n, s in shares}
    return Model({"name": "trial", "services": services})


def disk(
    free: int, *, inodes_free: int = 10**6, needs: Mapping[str, int] | None = None
) -> Disk:
    room = (100 * GIB, free, 10**7, inodes_free)
    return Disk(1, ("images",), "/data", *room, needs or {})


NETWORKED = Model(
    {
        "name": "trial",
        "services": {"app": {"networks": {"data": {"aliases": ["api"]}}}},
        "networks": {"data": {}},
    }
)
BUILT = Model({"name": "trial", "services": {"app": {"build": {"context": "."}}}})
STORED = Model({"name": "trial", "services": {"db": {"volumes": [{"type": "volume"}]}}})
JOB = {"depends_on": {"migrate": {"condition": "service_completed_successfully"}}}
WITH_JOB = Model({"name": "trial", "services": {"app": JOB, "migrate": {}}})
SCALED = {name: {"scale": 3 if name == "memgraph" else 1} for name in SERVICES}
OLD = NOW - timedelta(days=1)
BAD: list[tuple[str, Mapping[str, Any], str, str]] = [
    ("engine-answers", {"answer": answer(trouble="slow")}, "fail", "in time"),
    ("engine-version", {"info": info(version="20.10.24")}, "fail", "start_interval"),
    ("engine-version", {"info": info(version="24.0.9")}, "fail", "25.0 is the minimum"),
    (
        "compose-version",
        {"plugins": {"compose": "v2.20.3"}},
        "fail",
        "!override",
    ),
    ("compose-version", {"plugins": {}}, "fail", "is missing"),
    ("buildx-version", {"plugins": {"buildx": "v0.7.1"}}, "fail", "0.8"),
    (
        "engine-place",
        {
            "answer": answer(),
            "place": EngineLocation(
                is_local=False, is_rootless=False, remaps_users=False, why="far"
            ),
        },
        "warn",
        "do not see this checkout",
    ),
    (
        "engine-limits",
        {"info": info(raw={"MemoryLimit": False})},
        "fail",
        "limit memory",
    ),
    ("storage-driver", {"info": info(raw={"Driver": "vfs"})}, "warn", "vfs"),
    ("forwarding", {"info": info(raw={"IPv4Forwarding": False})}, "fail", "is off"),
    (
        "clock",
        {"answer": answer(), "info": info(raw={"SystemTime": "2026-11-23T12:01:30Z"})},
        "warn",
        "89 s away",
    ),
    (
        "memory",
        {
            "stack": STACK,
            "info": info(memory=16 * GIB),
            "model": model(27, 20),
            "wanted": SERVICES,
        },
        "fail",
        "too little memory",
    ),
    (
        "memory",
        {
            "stack": STACK,
            "info": info(memory=20 * GIB),
            "model": model(27, 20),
            "wanted": SERVICES,
        },
        "warn",
        "may run out",
    ),
    (
        "map-count",
        {
            "stack": STACK,
            "kernel": Kernel(65530, 1, 9),
            "model": model(1, 1),
            "wanted": SERVICES,
        },
        "warn",
        "need 524288",
    ),
    ("machine-files", {"kernel": Kernel(1, 90, 100)}, "warn", "90 of 100"),
    (
        "file-descriptors",
        {
            "stack": OFFLINE,
            "model": model(1, 1),
            "handles": (Handles("app", 100, 100, 91),),
        },
        "warn",
        "app uses 91 of 100",
    ),
    (
        "file-descriptors",
        {
            "stack": STACK,
            "model": model(1, 1),
            "handles": (Handles("questdb", 1024, 4096, None),),
        },
        "warn",
        "questdb may open only 4096 files",
    ),
    (
        "disk-space",
        {"disks": (disk(5 * 2**20),)},
        "fail",
        "full",
    ),
    (
        "disk-space",
        {"disks": (disk(5 * GIB, needs={"a snapshot of memgraph": 13 * GIB}),)},
        "warn",
        "a snapshot of memgraph 13.0",
    ),
    (
        "disk-space",
        {"disks": (disk(5 * GIB, needs={"one": 3 * GIB, "two": 3 * GIB}),)},
        "warn",
        "one 3.0 GiB, two 3.0 GiB",
    ),
    ("inodes", {"disks": (disk(GIB, inodes_free=3),)}, "fail", "3 of 10000000 inodes"),
    (
        "routes-free",
        {
            "model": Model(
                {
                    "name": "trial",
                    "networks": {
                        "data": {"ipam": {"config": [{"subnet": "10.9.1.0/24"}]}}
                    },
                }
            ),
            "networks": (),
            "routes": (Route(IPv4Network("10.0.0.0/8"), "tun0"),),
            "settings": Settings({}, {}, {}),
        },
        "fail",
        "of tun0",
    ),
    (
        "services-stay",
        {"ours": (container("app", restart_count=7, health="", oom_killed=True),)},
        "fail",
        "killed for its memory limit",
    ),
    (
        "containers-known",
        {
            "ours": (container("gone"),),
            "model": model(1, 1),
            "profiled": frozenset({"tool"}),
        },
        "warn",
        "trial-gone is an orphan",
    ),
    (
        "services-run",
        {
            "ours": (
                *map(container, SERVICES[1:]),
                container(SERVICES[0], state="paused"),
            ),
            "model": model(1, 1),
        },
        "fail",
        "memgraph is paused",
    ),
    (
        "services-run",
        {
            "ours": tuple(container(name, state="paused") for name in SERVICES),
            "model": model(1, 1),
        },
        "fail",
        "memgraph is paused",
    ),
    (
        "services-run",
        {
            "ours": tuple(map(container, SERVICES)),
            "model": Model({"name": "trial", "services": SCALED}),
        },
        "warn",
        "memgraph has 1 of 3 containers",
    ),
    (
        "container-networks",
        {
            "ours": (container("app", networks={"bridge": "172.17.0.2"}),),
            "model": NETWORKED,
            "hashes": {"app": "hash"},
        },
        "fail",
        "trial-app is not connected to the network trial_data",
    ),
    (
        "container-networks",
        {
            "ours": (
                container(
                    "app",
                    networks={"trial_data": ""},
                    raw={
                        "NetworkSettings": {
                            "Networks": {"trial_data": {"EndpointID": ""}}
                        }
                    },
                ),
            ),
            "model": NETWORKED,
            "hashes": {"app": "hash"},
        },
        "fail",
        "trial-app is not connected to the network trial_data",
    ),
    (
        "builder",
        {
            "model": BUILT,
            "wanted": ("app",),
            "builder": Builder("multi", "docker-container"),
        },
        "warn",
        "builder multi uses the driver docker-container",
    ),
    (
        "builder",
        {
            "model": BUILT,
            "wanted": ("app",),
            "builder": Builder("", "", 'ERROR: no builder "x" found'),
        },
        "fail",
        'cannot be used: ERROR: no builder "x" found',
    ),
    (
        "helper-image",
        {
            "model": STORED,
            "helper_image": HelperImage("helper:1", is_here=False, base="debian"),
        },
        "warn",
        "its base debian is here",
    ),
    (
        "env-interpolation",
        {"interpolated_values": (Interpolated("API_TOKEN", ("defgh",)),)},
        "fail",
        "API_TOKEN of .env otherwise than it is written: defgh is not set",
    ),
    (
        "env-interpolation",
        {"interpolated_values": (Interpolated("GREETING", ("name",)),)},
        "warn",
        "GREETING of .env",
    ),
    (
        "images-current",
        {
            "ours": (container("app", image="x", image_id="sha256:old"),),
            "images": {"x": Image("sha256:new", ("x:latest",), 1, {})},
        },
        "warn",
        "an older image",
    ),
    (
        "state-readable",
        {
            "stack": STACK,
            "damaged_state": (
                DamagedState(
                    Path("s/a.json"), "s/a.json is damaged", "it is made anew"
                ),
            ),
        },
        "fail",
        "s/a.json is damaged; it is made anew",
    ),
    (
        "journals",
        {
            "stack": STACK,
            "journals": Journals(
                (Unfinished("update", "start", 60, Path("r.json"), ("app",)),)
            ),
        },
        "fail",
        "an update was interrupted 1m 0s ago at the step 'start'",
    ),
    (
        "backup-age",
        {"backup_age": BackupAge(verified=None, data=30 * 86400)},
        "warn",
        "has no verified backup",
    ),
]
GOOD: list[tuple[str, Mapping[str, Any]]] = [
    ("engine-version", {"info": info(version="26.1.5+dfsg1")}),
    ("compose-version", {"plugins": {"compose": "2.26.1-4"}}),
    ("clock", {"answer": answer(), "info": info()}),
    (
        "memory",
        # A machine sold with 32 GB, as `docker info` shows it; the guide's limits.
        {
            "stack": STACK,
            "info": info(memory=33_467_052_032),
            "model": model(28, 20),
            "wanted": SERVICES,
        },
    ),
    (
        "map-count",
        {
            "stack": OFFLINE,
            "kernel": Kernel(65530, 1, 9),
            "model": model(1, 1),
            "wanted": SERVICES,
        },
    ),
    (
        "journals",
        {
            "stack": STACK,
            "journals": Journals(
                (Unfinished("backup", "copying", 1, Path("b.json"), None),),
                "backup (pid 1)",
            ),
        },
    ),
    ("backup-age", {"backup_age": BackupAge(verified=None, data=3600)}),
    ("services-stay", {"ours": (container("app", restart_count=3),)}),
    ("services-run", {"ours": (), "model": model(1, 1)}),
    (
        "services-run",
        {
            "ours": (container("app"), container("migrate", state="exited")),
            "model": WITH_JOB,
        },
    ),
    ("services-run", {"ours": (container("app"),), "model": WITH_JOB}),
    (
        "containers-known",
        {
            "ours": (container("tool"),),
            "model": model(1, 1),
            "profiled": frozenset({"tool"}),
        },
    ),
    (
        "container-networks",
        {
            "ours": (container("app", networks={"trial_data": "10.0.0.2"}),),
            "model": NETWORKED,
            "hashes": {"app": "hash"},
        },
    ),
    (
        # Its files changed: `containers-current` says that it is to be recreated.
        "container-networks",
        {
            "ours": (container("app"),),
            "model": NETWORKED,
            "hashes": {"app": "another"},
        },
    ),
    (
        "builder",
        {"model": BUILT, "wanted": ("app",), "builder": Builder("default", "docker")},
    ),
    (
        "builder",
        {"model": STORED, "wanted": ("db",), "builder": Builder("m", "remote")},
    ),
    ("helper-image", {"model": BUILT, "helper_image": HelperImage("h", is_here=False)}),
    ("helper-image", {"model": STORED, "helper_image": HelperImage("h", is_here=True)}),
    ("env-interpolation", {"interpolated_values": (Interpolated("HOME_PATH", ()),)}),
    ("disk-space", {"disks": (disk(5 * GIB, needs={"one": 4 * GIB}),)}),
    (
        "file-descriptors",
        {
            "stack": STACK,
            "model": model(1, 1),
            "handles": (
                Handles("questdb", 1024, 524288, 800),
                Handles("ray-head", 1024, 4096, 10),
            ),
        },
    ),
]


@pytest.mark.parametrize(
    ("name", "facts", "outcome", "says"),
    BAD,
    ids=[f"{case[0]}-{number}" for number, case in enumerate(BAD)],
)
def test_fault_is_judged_and_named(
    name: str, facts: Mapping[str, Any], outcome: str, says: str
) -> None:
    row = judge(name, **facts)

    assert (row.outcome, says in row.detail) == (outcome, True), row
    assert row.repair


@pytest.mark.parametrize(
    ("name", "facts"),
    GOOD,
    ids=[f"{case[0]}-{number}" for number, case in enumerate(GOOD)],
)
def test_what_is_well_raises_no_alarm(name: str, facts: Mapping[str, Any]) -> None:
    assert judge(name, **facts).outcome == "ok"


def test_reservations_of_more_than_a_nominal_machine_fail() -> None:
    facts = {"stack": STACK, "info": info(memory=33_467_052_032), "wanted": SERVICES}

    assert judge("memory", model=model(28, 34), **facts).outcome == "fail"


def test_own_bridges_are_no_foreign_route() -> None:
    ours = network("trial_data", "10.9.1.0/24", project="trial")
    route = Route(IPv4Network("10.9.1.0/24"), f"br-{ours.id[:12]}")
    wanted = {"data": {"ipam": {"config": [{"subnet": "10.9.1.0/24"}]}}}
    row = judge(
        "routes-free",
        model=Model({"name": "trial", "networks": wanted}),
        networks=(ours,),
        routes=(route,),
        settings=Settings({}, {}, {}),
    )

    assert row.outcome == "ok"


def test_routes_are_read_without_the_default_one() -> None:
    lines = (
        "eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0",
        "tun0\t0000090A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0",
    )

    assert parse_routes(lines) == (Route(IPv4Network("10.9.0.0/16"), "tun0"),)


@pytest.mark.parametrize(
    ("output", "trouble"),
    [
        (
            Output(1, '{"ServerErrors":["Cannot connect to the Docker daemon"]}', ""),
            "daemon",
        ),
        (
            Output(1, '{"ServerErrors":["permission denied while trying"]}', ""),
            "permission",
        ),
        (Output(124, "", ""), "slow"),
        (
            Output(1, '{"ServerErrors":["Error response: denied by policy"]}', ""),
            "refused",
        ),
        (Output(0, '{"ID":"A","ServerVersion":"26.1.5"}', ""), ""),
    ],
)
def test_answers_of_docker_info(output: Output, trouble: str) -> None:
    assert parse_answer(output, 0, 1, {}).trouble == trouble


@pytest.mark.parametrize(
    ("host", "raw", "is_local"),
    [
        ("", {"Name": "here", "KernelVersion": "6"}, True),
        (
            "unix:///run/user/1000/docker.sock",
            {"Name": "here", "KernelVersion": "6"},
            True,
        ),
        ("ssh://far", {"Name": "here", "KernelVersion": "6"}, False),
        ("", {"Name": "docker-desktop", "KernelVersion": "5"}, False),
    ],
)
def test_engine_of_another_machine_is_told(
    host: str, raw: Mapping[str, Any], *, is_local: bool
) -> None:
    """A virtual machine's engine answers on a socket of this one all the same."""
    assert (not elsewhere(answer(host=host), info(raw=raw), "here", "6")) is is_local


def test_engine_of_a_context_is_told_also_where_its_machine_looks_alike() -> None:
    """Copies of one virtual machine share their name and their kernel."""
    asked = answer(context="far", endpoint="ssh://far")
    raw = {"Name": "here", "KernelVersion": "6"}

    why = elsewhere(asked, info(raw=raw), "here", "6")

    assert why == "the context far names ssh://far"


@pytest.mark.parametrize(
    ("host", "raw", "outcome"),
    [
        ("", {"Name": "docker-desktop", "KernelVersion": "5"}, "skipped"),
        ("", {"Name": "x", "OperatingSystem": "Docker Desktop"}, "skipped"),
        ("unix:///x.sock", {"Name": "colima", "KernelVersion": "5"}, "skipped"),
        ("ssh://far", {"Name": "docker-desktop", "KernelVersion": "5"}, "warn"),
        ("", {"Name": "far", "KernelVersion": "6"}, "warn"),
    ],
)
def test_desktops_virtual_machine_is_no_other_machine(
    host: str, raw: Mapping[str, Any], outcome: str
) -> None:
    """It shares the folders of this one; what is inside it is not measured."""
    asked = answer(host=host)
    found = place(asked, info(raw=raw))

    assert judge("engine-place", answer=asked, place=found).outcome == outcome
    if outcome == "skipped":
        assert shared(found) == found
    else:
        with pytest.raises(NotMeasuredError, match="another machine's files"):
            shared(found)


def test_repairs_set_variables_where_they_are_set() -> None:
    """In the shell where it is exported, else in the file, at its line or a new one."""
    there = Settings({"A": "1"}, {}, {"B": "2"})

    assert there.assignment("A", "3") == "sed -i 's|^A=.*|A=3|' .env"
    assert there.assignment("B", "3") == "export B=3"
    assert there.assignment("C", "3") == "echo C=3 >> .env"
