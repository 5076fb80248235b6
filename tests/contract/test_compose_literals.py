"""What the guide's own lines do in Compose: why the ledger's config entries must be."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_models import canonical, fragment, rendered
from guide_coverage import load_table
from repository import BASE_FILE, OVERLAYS, ROOT, own_files

from compose_ops.gpu.collect import requests_of
from compose_ops.gpu.container_checks import requests_satisfied
from compose_ops.gpu.facts import Device, Host, Request, StatedFacts

MULTI_GPU = f"{OVERLAYS}/multi-gpu.yml"


def guide(path: str) -> list[Any]:
    """Return the values that the guide gives at *path*; several where it disagrees."""
    return [row.value for row in load_table() if canonical(row.path) == path]


def items(path: str) -> set[str]:
    """Return the items that the guide lists at *path*."""
    return {row.text for row in load_table() if row.path.startswith(f"{path}[")}


def printed(folder: Path, *files: dict[str, Any]) -> dict[str, Any]:
    """Return the model that Compose prints for *files*, in order."""
    names = []
    for number, document in enumerate(files):
        path = folder / f"{number}.yml"
        path.write_text(yaml.safe_dump(document))
        names.append(str(path))
    return rendered(names, root=folder)


def section(*sections: str, file: str = "") -> dict[str, Any]:
    """Return the guide's sections as one compose document."""
    rows = [row for row in load_table() if row.section in sections]
    return fragment([row for row in rows if file in {"", row.file}])


def test_app_and_questdb_share_no_network() -> None:
    """Compose's DNS finds no service on another network, and these share none."""
    app, questdb = items("services.app.networks"), items("services.questdb.networks")

    assert app
    assert questdb
    assert not app & questdb
    assert guide("services.app.environment.QUESTDB_HOST") == ["questdb"] * 2


def test_the_debug_port_is_published_nowhere() -> None:
    """The debugger's port stands in the command alone."""
    command = guide("services.app.command")[0]
    ports = [row.text for row in load_table() if ".ports[" in row.path]

    assert "0.0.0.0:5678" in command
    assert not [port for port in ports if "5678" in port]


def test_ray_has_two_values_for_retries() -> None:
    """Two sections of the guide give Ray's health check other retries."""
    assert guide("services.ray-head.healthcheck.retries") == [3, 5]


def test_the_app_has_no_limits() -> None:
    """Every other service has a memory limit in the guide, the app has none."""
    limited = {
        row.path.split(".")[1]
        for row in load_table()
        if row.path.endswith("resources.limits.memory")
    }

    assert limited == {"memgraph", "questdb", "eventstore", "ray-head"}


def test_the_ray_image_names_no_user() -> None:
    """The guide's Ray image would run as root."""
    rows = [row for row in load_table() if row.file == "docker/services/ray/Dockerfile"]

    assert rows
    assert not [row for row in rows if "/USER[" in row.path]


@pytest.mark.compose
def test_an_unquoted_version_loses_its_zero(tmp_path: Path) -> None:
    """YAML reads 3.10 as a number, so an image would be built with Python 3.1."""
    path = tmp_path / "compose.yml"
    path.write_text(
        "services:\n  app:\n    build:\n      context: .\n"
        "      args:\n        PYTHON_VERSION: 3.10\n"
    )

    model = rendered([str(path)], root=tmp_path)

    assert model["services"]["app"]["build"]["args"] == {"PYTHON_VERSION": "3.1"}


@pytest.mark.compose
def test_a_container_name_forbids_replicas(tmp_path: Path) -> None:
    """The guide's base and production sections together are no valid project."""
    base, prod = section("Base Configuration"), section("Production Configuration")

    with pytest.raises(RuntimeError, match="container name must be unique"):
        printed(tmp_path, base, prod)

    del prod["services"]["app"]["deploy"]["replicas"]
    assert printed(tmp_path, base, prod)


@pytest.mark.compose
def test_count_excludes_device_ids(tmp_path: Path) -> None:
    """The guide's request for one GPU by number is refused."""
    document = section("GPU Allocation")
    document["services"]["ray-head"]["image"] = "ray:1"

    with pytest.raises(RuntimeError, match="exclusive"):
        printed(tmp_path, document)

    (device,) = document["services"]["ray-head"]["deploy"]["resources"]["reservations"][
        "devices"
    ]
    del device["count"]
    assert printed(tmp_path, document)


@pytest.mark.compose
def test_the_runtime_section_stands_beside_a_reservation(tmp_path: Path) -> None:
    """Merged as written, the GPUs are handed over twice: all, and one of them."""
    base = section("Base Configuration", file=BASE_FILE)
    runtime = section("NVIDIA Docker Configuration", file=f"{OVERLAYS}/gpu-runtime.yml")

    ray = printed(tmp_path, base, runtime)["services"]["ray-head"]

    assert ray["environment"]["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert ray["deploy"]["resources"]["reservations"]["devices"][0]["count"] == 1


@pytest.mark.compose
def test_extends_finds_no_service_of_another_file(tmp_path: Path) -> None:
    """In a file of its own the guide's `extends: ray-head` finds nothing."""
    with pytest.raises(RuntimeError, match="ray-head"):
        printed(tmp_path, section("Base Configuration"), section("Multi-GPU Support"))


@pytest.mark.compose
def test_an_extended_worker_is_a_second_head(tmp_path: Path) -> None:
    """As written a worker has the head's name, ports and volume; here it has none."""
    literal = section("Base Configuration")
    literal["services"] |= section("Multi-GPU Support")["services"]
    worker = printed(tmp_path, literal)["services"]["ray-worker-gpu-0"]
    model = rendered([*own_files(overlays=("multi-gpu",))], root=ROOT)
    here = [model["services"][f"ray-worker-gpu-{number}"] for number in (0, 1)]

    assert worker["container_name"] == "jimbot-ray-head"
    assert {port["target"] for port in worker["ports"]} == {6379, 8265, 10001}
    assert "/tmp/ray" in {volume["target"] for volume in worker["volumes"]}
    for service in here:
        assert service["command"][:3] == ["ray", "start", "--address=ray-head:6379"]
        assert list(service["networks"]) == ["compute_network"]
        assert [volume["target"] for volume in service["volumes"]] == ["/app/jimbot"]
        assert not service.get("ports")


@pytest.mark.compose
def test_a_count_takes_the_gpu_that_a_worker_names() -> None:
    """The guide's head asks for one GPU beside a worker that names the first."""
    device = "services.ray-head.deploy.resources.reservations.devices[0]"
    head = guide(f"{device}.count")[0]
    model = rendered([*own_files(overlays=("multi-gpu",))], root=ROOT)
    asked = requests_of(model["services"])
    literal = [Request("ray-head", count=head), *asked]
    host = Host(devices=(Device(0, "GPU-a", ""), Device(1, "GPU-b", "")))

    def told(requests: list[Request]) -> str:
        facts = StatedFacts(host=host, requests=tuple(requests))
        return " ".join(verdict.detail for verdict in requests_satisfied(facts))

    assert "they share its memory" in told(literal)
    assert "share" not in told([*asked])
    assert [one.ids for one in asked] == [("0",), ("1",)]


@pytest.mark.compose
@pytest.mark.parametrize(
    "typed", [row.text for row in load_table() if row.text.startswith("docker-compose")]
)
def test_typed_commands_parse(typed: str) -> None:
    """With `docker compose` for `docker-compose` the flags and the files are valid."""
    words = ["docker", "compose", *typed.split()[1:]]
    files = [word for word in words if word.endswith(".yml")] or [BASE_FILE]

    done = subprocess.run(
        [*words, "--help"], cwd=ROOT, capture_output=True, check=False
    )
    wrong = subprocess.run(
        [*words, "--none", "--help"], cwd=ROOT, capture_output=True, check=False
    )

    assert done.returncode == 0
    assert wrong.returncode != 0
    assert rendered(files, root=ROOT)["services"].keys() >= {"app", "memgraph"}
