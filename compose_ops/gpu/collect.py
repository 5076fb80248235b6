"""Facts from this machine, its engine and its containers, each when it is asked for."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from compose_ops.docker.api import Container, Image, Output, RunSpec
from compose_ops.errors import EngineError
from compose_ops.gpu import machine
from compose_ops.gpu.facts import (
    ALL,
    Attempt,
    Computation,
    Host,
    Request,
    Toolkit,
    Wheel,
)
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.engine_location import (
    EngineAnswer,
    ask_engine,
    location,
    remote_address,
)

PROBE_SECONDS = 60.0
TORCH_SECONDS = 180.0
EXEC_SECONDS = 30.0

CDI_KIND = "nvidia.com/gpu="

PYPI_ARCHITECTURES = ("sm_37", "sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86")
KNOWN_WHEELS = {
    "2.0.1": Wheel(
        "2.0.1", "11.7", PYPI_ARCHITECTURES, "PyPI's wheel, not built in yet"
    )
}
"""What is known before an image is built; source: pytorch/pytorch#90761, #110153."""

ASK_WHEEL = """
import json, torch
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda or "",
                  "architectures": (torch._C._cuda_getArchFlags() or "").split()}))
"""

COMPUTE = """
import json, torch
result = {"is_available": torch.cuda.is_available()}
if result["is_available"]:
    try:
        result["device"] = torch.cuda.get_device_name(0)
        rows = torch.arange(4096, dtype=torch.float64).reshape(64, 64) % 17
        expected = rows @ rows.T
        result["is_right"] = bool((rows.cuda() @ rows.cuda().T).cpu().equal(expected))
    except RuntimeError as fault:
        result["error"] = str(fault)
print(json.dumps(result))
"""

COUNT = """
import ray
ray.init(address="auto", log_to_driver=False, logging_level="ERROR")
print(ray.cluster_resources().get("GPU", 0))
"""


@dataclass
class Collector:
    """Implements `facts.Facts` for a service of a stack."""

    stack: StackContext
    service: str

    @cached_property
    def host(self) -> Host | None:
        answer = self.answer
        if answer.info is None:
            remote = bool(remote_address(answer))
        else:
            remote = not location(answer, answer.info).is_local
        return None if remote else machine.inspect()

    @cached_property
    def answer(self) -> EngineAnswer:
        return ask_engine(self.stack)

    @cached_property
    def toolkit(self) -> Toolkit:
        info = self.answer.info
        if info is None:
            return Toolkit(trouble=self.answer.words or self.answer.trouble)
        raw = info.raw
        folders = tuple(raw.get("CDISpecDirs") or ())
        local = self.host is not None
        found = [d.get("ID", "") for d in raw.get("DiscoveredDevices") or ()]
        return Toolkit(
            runtimes=info.runtimes,
            default_runtime=str(raw.get("DefaultRuntime", "")),
            has_hook=machine.has_hook() if local else None,
            cdi_folders=folders,
            cdi_specs=machine.cdi_specs(folders) if local else (),
            cdi_devices=tuple(d for d in found if d.startswith("nvidia.com/")),
            cgroup_driver=str(raw.get("CgroupDriver", "")),
        )

    @cached_property
    def requests(self) -> tuple[Request, ...]:
        return requests_of(self.stack.model.services)

    @cached_property
    def image(self) -> Image | None:
        return self.stack.engine.image(self.stack.model.image_name(self.service))

    @cached_property
    def image_cuda(self) -> str:
        config = (self.image.raw.get("Config") or {}) if self.image else {}
        pairs = (line.partition("=") for line in config.get("Env") or ())
        return next((v for k, _, v in pairs if k == "CUDA_VERSION"), "")

    @cached_property
    def wheel(self) -> Wheel:
        """The image's torch, or before a build what its Dockerfile names."""
        if self.image is not None:
            attempt = self._run(["python", "-c", ASK_WHEEL], gpu=False)
            if attempt.code != 0:
                return Wheel()
            data = json.loads(last_json(attempt.output))
            data["architectures"] = tuple(data["architectures"])
            return Wheel(**data, source="in the image")
        return KNOWN_WHEELS.get(self._stated_torch(), Wheel())

    def _stated_torch(self) -> str:
        build = self.stack.model.service(self.service).get("build") or {}
        file = Path(build.get("context", "")) / build.get("dockerfile", "Dockerfile")
        text = file.read_text() if file.is_file() else ""
        for source in ((build.get("args") or {}).get("RAY_TORCH") or "", text):
            found = re.search(r"torch==(\d+\.\d+\.\d+)", str(source))
            if found:
                return found[1]
        return ""

    @cached_property
    def probe(self) -> Attempt:
        if self.image is None:
            return Attempt(skipped=f"the image of {self.service} is not built yet")
        return self._run(["nvidia-smi", "-L"], gpu=True)

    @cached_property
    def computation(self) -> Computation:
        if self.image is None:
            return Computation(skipped=f"the image of {self.service} is not built yet")
        attempt = self._run(["python", "-c", COMPUTE], gpu=True, seconds=TORCH_SECONDS)
        if attempt.code != 0:
            return Computation(error=attempt.output)
        return computation_of(attempt.output)

    @cached_property
    def ray_gpus(self) -> Attempt:
        found = self._container()
        if found is None:
            return Attempt(skipped=f"{self.service} is not running")
        done = self._execute(found, ["python", "-c", COUNT])
        if done.code != 0:
            return Attempt(done.code, done.stdout + done.stderr)
        lines = done.stdout.strip().splitlines()
        return Attempt(0, lines[-1] if lines else "")

    @cached_property
    def running(self) -> Attempt:
        found = self._container()
        if found is None:
            return Attempt(skipped=f"{self.service} is not running")
        if not was_given_gpu(found):
            return Attempt(
                skipped=f"the running {self.service} was started without a GPU"
            )
        done = self._execute(found, ["nvidia-smi", "-L"])
        return Attempt(done.code, done.stdout + done.stderr)

    @property
    def container(self) -> str:
        found = self._container()
        return "" if found is None else found.name

    def _container(self) -> Container | None:
        own = [c for c in self.stack.containers if c.service == self.service]
        return next((c for c in own if c.is_running), None)

    def _execute(self, container: Container, command: list[str]) -> Output:
        return self.stack.engine.execute(container.id, command, timeout=EXEC_SECONDS)

    def _run(
        self, command: list[str], *, gpu: bool, seconds: float = PROBE_SECONDS
    ) -> Attempt:
        image = self.image
        if image is None:
            return Attempt(skipped="no image")
        spec = RunSpec(
            image=image.id,
            command=command[1:],
            entrypoint=command[0],
            tmpfs=("/tmp",),  # noqa: S108 - inside the container
            name=f"{self.stack.project}-gpu-check",
            extra=("--gpus", "all") if gpu else (),
        )
        try:
            done = self.stack.engine.run(spec, timeout=seconds)
        except EngineError as refused:
            return Attempt(1, refused.message)
        return Attempt(done.code, done.stdout + done.stderr)


def requests_of(services: Mapping[str, Mapping[str, Any]]) -> tuple[Request, ...]:
    """Return what the services of a merged model ask of NVIDIA."""
    found = []
    for name, service in services.items():
        resources = (service.get("deploy") or {}).get("resources") or {}
        devices = [
            *(
                device
                for device in (resources.get("reservations") or {}).get("devices") or ()
                if "gpu" in (device.get("capabilities") or ())
            ),
            *(service.get("gpus") or ()),
        ]
        found += [_reserved(name, device) for device in devices]
        by_cdi = tuple(
            source
            for device in service.get("devices") or ()
            if (source := str(device.get("source", ""))).startswith(CDI_KIND)
        )
        if by_cdi:
            found.append(_by_cdi(name, by_cdi))
        if service.get("runtime") == "nvidia":
            visible = (service.get("environment") or {}).get("NVIDIA_VISIBLE_DEVICES")
            found.append(_visible(name, str(visible or "all")))
    return tuple(found)


def _reserved(service: str, device: Mapping[str, Any]) -> Request:
    ids = tuple(str(name) for name in device.get("device_ids") or ())
    if device.get("driver") == "cdi":
        return _by_cdi(service, ids)
    return Request(service, 0 if ids else _count(device.get("count")), ids)


def _by_cdi(service: str, devices: Iterable[str]) -> Request:
    """Return a request by the names of CDI, such as nvidia.com/gpu=0."""
    ids = tuple(name.removeprefix(CDI_KIND) for name in devices)
    if "all" in ids:
        return Request(service, ALL, by_cdi=True)
    return Request(service, ids=ids, by_cdi=True)


def _count(value: object) -> int:
    return ALL if value in {None, "all", -1} else int(str(value))


def _visible(service: str, value: str) -> Request:
    if value in {"all", "none", "void", ""}:
        return Request(service, ALL if value == "all" else 0)
    return Request(service, ids=tuple(value.split(",")))


def was_given_gpu(container: Container) -> bool:
    """Say whether a container was created with a GPU."""
    host = container.raw.get("HostConfig") or {}
    return bool(host.get("DeviceRequests")) or host.get("Runtime") == "nvidia"


def computation_of(output: str) -> Computation:
    """Read what COMPUTE printed; without CUDA torch gives the reason as a warning."""
    found = last_json(output)
    result = Computation(**json.loads(found))
    if result.is_available:
        return result
    others = [line for line in output.splitlines() if line != found]
    return replace(result, error="\n".join(others).strip())


def last_json(text: str) -> str:
    """Return the last line that is an object; libraries write lines of their own."""
    lines = [line for line in text.splitlines() if line.startswith("{")]
    return lines[-1] if lines else "{}"
