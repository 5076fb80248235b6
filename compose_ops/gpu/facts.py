"""What the checks judge: plain values, from this machine or from a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

ALL = -1


@dataclass(frozen=True, slots=True)
class Device:
    """
    A GPU as NVML shows it. `memory` is bytes, `capability` such as 9.0.

    `uncorrected` are ECC errors since the driver was loaded, None without ECC;
    `is_persistent` is None where the mode does not exist; `instances` is the number
    of MIG instances, None while MIG is off; `fault` is NVML's word for no answer.
    """

    index: int
    uuid: str
    name: str
    memory: int = 0
    capability: str = ""
    uncorrected: int | None = None
    needs_reset: bool = False
    is_persistent: bool | None = None
    instances: int | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Xid:
    """A driver's error report of the kernel log; `age` in seconds."""

    code: int
    device: str
    age: float


@dataclass(frozen=True, slots=True)
class Host:
    """
    The driver and its devices; `module` and `library` are versions.

    `trouble` is empty, or absent (no library), unloaded, mismatch or failed, with
    NVML's `words`; `hardware` are PCI addresses; `xids` is None where the kernel log is
    not readable. In WSL2 `wsl_driver` says that Windows provides NVIDIA's driver: the
    device of WSL2 exists for every maker's GPU.
    """

    hardware: tuple[str, ...] = ()
    module: str = ""
    library: str = ""
    trouble: str = ""
    words: str = ""
    devices: tuple[Device, ...] = ()
    xids: tuple[Xid, ...] | None = None
    is_wsl: bool = False
    wsl_driver: bool = False


@dataclass(frozen=True, slots=True)
class CdiSpec:
    """A CDI file and the driver version whose libraries it names."""

    path: str
    driver: str


@dataclass(frozen=True, slots=True)
class Toolkit:
    """
    What the engine knows of NVIDIA: `has_hook` is None where it cannot be looked up.

    `cdi_devices` are those that the engine itself lists (Engine 28 and newer);
    `trouble` is why no engine answers.
    """

    runtimes: tuple[str, ...] = ()
    default_runtime: str = ""
    has_hook: bool | None = None
    cdi_folders: tuple[str, ...] = ()
    cdi_specs: tuple[CdiSpec, ...] = ()
    cdi_devices: tuple[str, ...] = ()
    cgroup_driver: str = ""
    trouble: str = ""

    @property
    def has_runtime(self) -> bool:
        return "nvidia" in self.runtimes

    @property
    def has_cdi(self) -> bool:
        return bool(self.cdi_specs or self.cdi_devices)


@dataclass(frozen=True, slots=True)
class Request:
    """
    What a service requests: `count` GPUs (`ALL` for every one), or those `ids`.

    `by_cdi` says that the request itself names CDI devices.
    """

    service: str
    count: int = 0
    ids: tuple[str, ...] = ()
    by_cdi: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """A command in a container; `skipped` says why it was not run."""

    code: int = 0
    output: str = ""
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Wheel:
    """The torch in use: its CUDA, and the architectures that it was built for."""

    version: str = ""
    cuda: str = ""
    architectures: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Computation:
    """
    What torch did on the GPU in the service's image.

    `error` is what it printed where CUDA is not available or the computation failed.
    """

    is_available: bool = False
    is_right: bool = False
    error: str = ""
    device: str = ""
    skipped: str = ""


class Facts(Protocol):
    """Facts that are collected when a check asks for them."""

    @property
    def service(self) -> str: ...

    @property
    def container(self) -> str:
        """The name of the service's running container, or nothing."""

    @property
    def host(self) -> Host | None:
        """None when the engine is not on this machine."""

    @property
    def toolkit(self) -> Toolkit: ...

    @property
    def requests(self) -> tuple[Request, ...]: ...

    @property
    def image_cuda(self) -> str:
        """The CUDA version that the service's image states, or nothing."""

    @property
    def wheel(self) -> Wheel: ...

    @property
    def probe(self) -> Attempt: ...

    @property
    def computation(self) -> Computation: ...

    @property
    def ray_gpus(self) -> Attempt: ...

    @property
    def running(self) -> Attempt: ...


@dataclass(frozen=True, slots=True)
class StatedFacts:
    """Facts that are all there already, such as those of a file."""

    service: str = "ray-head"
    container: str = ""
    host: Host | None = None
    toolkit: Toolkit = Toolkit()
    requests: tuple[Request, ...] = ()
    image_cuda: str = ""
    wheel: Wheel = Wheel()
    probe: Attempt = Attempt(skipped="not stated")
    computation: Computation = Computation(skipped="not stated")
    ray_gpus: Attempt = Attempt(skipped="not stated")
    running: Attempt = Attempt(skipped="not stated")


def from_json(data: Mapping[str, Any]) -> StatedFacts:
    """Read facts from their JSON form: the dataclasses' own names, nested."""
    host = data.get("host")
    return StatedFacts(
        service=data.get("service", "ray-head"),
        container=data.get("container", ""),
        host=None if host is None else _host(host),
        toolkit=_toolkit(data.get("toolkit", {})),
        requests=tuple(
            Request(**_tuples(request)) for request in data.get("requests", ())
        ),
        image_cuda=data.get("image_cuda", ""),
        wheel=Wheel(**_tuples(data.get("wheel", {}))),
        probe=_attempt(data, "probe"),
        computation=Computation(**data.get("computation", {"skipped": "not stated"})),
        ray_gpus=_attempt(data, "ray_gpus"),
        running=_attempt(data, "running"),
    )


def _host(data: Mapping[str, Any]) -> Host:
    xids = data.get("xids")
    return Host(
        **_tuples({k: v for k, v in data.items() if k not in {"devices", "xids"}}),
        devices=tuple(Device(**device) for device in data.get("devices", ())),
        xids=None if xids is None else tuple(Xid(**xid) for xid in xids),
    )


def _toolkit(data: Mapping[str, Any]) -> Toolkit:
    specs = tuple(CdiSpec(**spec) for spec in data.get("cdi_specs", ()))
    rest = {k: v for k, v in data.items() if k != "cdi_specs"}
    return Toolkit(**_tuples(rest), cdi_specs=specs)


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}


def _attempt(data: Mapping[str, Any], name: str) -> Attempt:
    return Attempt(**data.get(name, {"skipped": "not stated"}))
