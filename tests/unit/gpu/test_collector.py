"""What is asked of image, container and engine, and what is made of the answers."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from fakes import container

from compose_ops.composition import OPERATIONS
from compose_ops.docker.api import (
    Container,
    Endpoint,
    EngineInfo,
    Image,
    Output,
    RunSpec,
)
from compose_ops.errors import EngineError
from compose_ops.gpu import collect, machine
from compose_ops.gpu.collect import Collector
from compose_ops.gpu.facts import ALL, Attempt, Computation, Host, Request, Wheel
from compose_ops.project.modes import Mode
from compose_ops.runtime.context import StackContext

HERE = {"Name": os.uname().nodename, "KernelVersion": os.uname().release}
IMAGE = Image("sha256:ray", (), 1, {}, {"Config": {"Env": ["CUDA_VERSION=11.8.0"]}})
WHEEL = '{"version": "2.0.1", "cuda": "11.7", "architectures": ["sm_80", "sm_86"]}'
WITH_GPU = {"HostConfig": {"DeviceRequests": [{"Driver": "nvidia"}]}}


@dataclass
class Lab:
    """An engine with one image; answers what runs in it from a table."""

    services: dict[str, Any]
    answers: dict[str, Output | EngineError] = field(default_factory=dict)
    there: Image | None = IMAGE
    ran: list[RunSpec] = field(default_factory=list)
    dead: str = ""
    host: str = "unix:///var/run/docker.sock"

    def model(self) -> dict[str, Any]:
        return {"name": "trial", "services": self.services}

    def endpoint(self) -> Endpoint:
        return Endpoint("default", self.host)

    def plugins(self) -> dict[str, str]:
        return {}

    def image(self, reference: str) -> Image | None:
        return self.there if reference == "trial-ray-head" else None

    def run(self, spec: RunSpec, *, timeout: float | None = None) -> Output:
        assert timeout
        self.ran.append(spec)
        return self._answer(str(spec.entrypoint), *spec.command)

    def execute(self, name: str, command: Sequence[str], **_: Any) -> Output:
        assert name == "id-ray-head"
        return self._answer(*command)

    def networks(self, **_: Any) -> tuple[()]:
        return ()

    def docker(self, *_words: str, timeout: float | None = None) -> Output:
        assert timeout
        return Output(1, "", self.dead)

    def _answer(self, *words: str) -> Output:
        found = next(v for k, v in self.answers.items() if k in " ".join(words))
        if isinstance(found, EngineError):
            raise found
        return found


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "inspect", lambda: Host(module="550.54.15"))
    monkeypatch.delenv("DOCKER_HOST", raising=False)


def on(lab: Lab, *running: Container, **raw: Any) -> Collector:
    """Return the collector of ray-head on an engine that says *raw* of itself."""
    told = {**HERE, **raw}
    known = EngineInfo("ENGINE", "26.1.5", 2, 0, tuple(raw.get("Runtimes", ())), told)
    engine: Any = lab
    stack = StackContext(
        collaborators=OPERATIONS,
        root=Path("/checkout"),
        project="trial",
        mode=Mode(gpu=True),
        engine=engine,
        everyone=running,
        started_as=None,
        known=None if lab.dead else known,
    )
    return Collector(stack, "ray-head")


def lab(**answers: Output | EngineError) -> Lab:
    device = {"capabilities": ["gpu"], "count": 1}
    reserved = {"resources": {"reservations": {"devices": [device]}}}
    return Lab({"ray-head": {"deploy": reserved}, "app": {}}, dict(answers))


def said(text: str, code: int = 0) -> Output:
    return Output(code, text, "")


def test_machine_is_looked_at_where_the_engine_runs() -> None:
    assert on(lab()).host == Host(module="550.54.15")
    assert on(lab(), Name="elsewhere").host is None
    far = {"ClientInfo": {"Context": "far"}}
    assert on(replace(lab(), host="ssh://far"), **far).host is None


def test_machine_is_looked_at_also_without_an_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own checks need none; the toolkit's says that none answers."""
    dead = replace(lab(), dead="Cannot connect to the Docker daemon")

    assert on(dead).host == Host(module="550.54.15")
    assert "Cannot connect" in on(dead).toolkit.trouble
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2376")
    assert on(dead).host is None


def test_toolkit_is_what_the_engine_says() -> None:
    found = on(
        lab(),
        Runtimes=["nvidia", "runc"],
        DefaultRuntime="runc",
        CgroupDriver="systemd",
        DiscoveredDevices=[{"ID": "nvidia.com/gpu=0"}, {"ID": "other.com/net=0"}],
    ).toolkit

    assert found.has_runtime
    assert found.cdi_devices == ("nvidia.com/gpu=0",)
    assert (found.default_runtime, found.cgroup_driver) == ("runc", "systemd")
    assert found.trouble == ""


def test_requests_are_those_of_the_model() -> None:
    assert on(lab()).requests == (Request("ray-head", 1),)
    assert collect.requests_of({"a": {"runtime": "nvidia"}}) == (Request("a", ALL),)


def test_wheel_is_asked_of_the_image_and_of_no_gpu() -> None:
    """A library may print lines of its own before."""
    made = lab(python=said(f"a warning\n{WHEEL}\n"))
    found = on(made)

    assert found.image_cuda == "11.8.0"
    assert found.wheel == Wheel("2.0.1", "11.7", ("sm_80", "sm_86"), "in the image")
    assert not made.ran[0].extra
    assert on(lab(python=said("no torch", 1))).wheel == Wheel()


@pytest.mark.parametrize(
    ("arguments", "version"),
    [({}, "2.0.1"), ({"RAY_TORCH": "torch==2.3.1 torchvision==0.18.1"}, "")],
)
def test_wheel_before_a_build_is_what_will_be_built(
    arguments: dict[str, str], version: str, tmp_path: Path
) -> None:
    """A build argument wins over the Dockerfile's default; only 2.0.1 is known."""
    (tmp_path / "Dockerfile").write_text('ARG RAY_TORCH="torch==2.0.1"\n')
    build = {"context": str(tmp_path), "args": arguments}
    made = replace(lab(), there=None, services={"ray-head": {"build": build}})

    assert on(made).wheel.version == version


def test_without_an_image_nothing_runs_in_it() -> None:
    found = on(replace(lab(), there=None))

    assert "not built yet" in found.probe.skipped
    assert "not built yet" in found.computation.skipped


def test_probe_is_a_container_with_every_gpu() -> None:
    made = lab(**{"nvidia-smi -L": said("GPU 0: NVIDIA T4\n")})

    assert on(made).probe == Attempt(0, "GPU 0: NVIDIA T4\n")
    assert tuple(made.ran[0].extra) == ("--gpus", "all")


def test_refusal_of_the_engine_is_a_failed_probe() -> None:
    refused = EngineError("docker refused: could not select device driver", hint="")

    attempt = on(lab(**{"nvidia-smi": refused})).probe
    assert (attempt.code, attempt.output) == (1, refused.message)


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (
            said('noise\n{"is_available": true, "is_right": true, "device": "T4"}\n'),
            Computation(is_available=True, is_right=True, device="T4"),
        ),
        (said("Traceback", 1), Computation(error="Traceback")),
        (
            Output(0, '{"is_available": false}\n', "UserWarning: Error 802: not yet\n"),
            Computation(error="UserWarning: Error 802: not yet"),
        ),
        (said('{"is_available": false}\n'), Computation()),
    ],
)
def test_torch_computes_with_a_gpu(output: Output, found: Computation) -> None:
    made = lab(python=output)

    assert on(made).computation == found
    assert tuple(made.ran[0].extra) == ("--gpus", "all")


def test_ray_is_asked_where_it_runs() -> None:
    made = lab(python=said("connected\n1.0\n"))

    assert on(made, container("ray-head")).ray_gpus == Attempt(0, "1.0")
    warned = Output(0, "1.0\n", "FutureWarning: pynvml is deprecated\n")
    assert on(lab(python=warned), container("ray-head")).ray_gpus == Attempt(0, "1.0")
    assert on(made, container("ray-head", state="exited")).ray_gpus.skipped
    failed = on(lab(python=said("a\nb", 1)), container("ray-head"))
    assert failed.ray_gpus == Attempt(1, "a\nb")


@pytest.mark.parametrize(
    ("raw", "is_asked"),
    [(WITH_GPU, True), ({"HostConfig": {"Runtime": "nvidia"}}, True), ({}, False)],
)
def test_running_container_is_asked_if_it_was_given_a_gpu(
    raw: dict[str, Any], *, is_asked: bool
) -> None:
    made = lab(**{"nvidia-smi": said("No devices were found", 6)})
    found = on(made, container("ray-head", raw=raw))

    assert bool(found.running.skipped) is not is_asked
    assert found.running.code == (6 if is_asked else 0)
    assert found.container == "trial-ray-head"


def test_wsl_without_nvidias_library_is_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its device is there for every maker's GPU."""
    monkeypatch.undo()
    monkeypatch.setattr("compose_ops.gpu.nvml.library", lambda: None)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/dxg").touch()
    seen = machine.inspect(tmp_path)
    assert (seen.is_wsl, seen.wsl_driver) == (True, False)

    library = tmp_path / machine.WSL_LIBRARY
    library.parent.mkdir(parents=True)
    library.touch()
    assert machine.inspect(tmp_path).wsl_driver
