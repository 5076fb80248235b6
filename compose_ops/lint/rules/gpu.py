"""GPU requests: one way to ask, and devices that are there."""

from collections.abc import Iterator, Mapping
from typing import Any

from compose_ops.lint.finding import RawFinding
from compose_ops.lint.quantity import shown, size
from compose_ops.lint.registry import rule
from compose_ops.lint.rules.product import flag_of
from compose_ops.lint.target import LintTarget, Service
from compose_ops.units import whole

DEVICES = ("deploy", "resources", "reservations", "devices")


def requests(service: Service) -> list[Mapping[str, Any]]:
    """Return the requests for GPUs."""
    found = service.get(*DEVICES, default=[])
    listed = [one for one in found if isinstance(one, Mapping)]
    return [
        one
        for one in listed
        if "gpu" in str(one.get("capabilities", "")) or one.get("driver") == "nvidia"
    ]


@rule(
    "gpu-count-and-ids",
    "error",
    "A GPU request has both `count` and `device_ids`.",
    why="The two exclude each other: Compose refuses the file, also when an override "
    "adds the second to the first.",
    source="compose-go validation/validation.go:106; run on Compose 2.26.1: code 15",
    repair="Keep `device_ids`, with `devices: !override` where the base has a count.",
)
def gpu_count_and_ids(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        for request in requests(service):
            if request.get("count") is not None and request.get("device_ids"):
                yield RawFinding(
                    service.path(*DEVICES),
                    f"{service.name} asks for {request['count']} GPU and for "
                    f"{', '.join(request['device_ids'])}",
                )


@rule(
    "gpu-without-amount",
    "warning",
    "A GPU request says neither how many nor which.",
    why="Compose versions differ: some take all GPUs, some give none. The container "
    "starts either way.",
    source="docker/docs#21026; compose-go#689",
    repair="Add `count: 1`, `count: all` or `device_ids`.",
)
def gpu_without_amount(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        for request in requests(service):
            if request.get("count") in {None, -1} and not request.get("device_ids"):
                if amount_written(service):
                    continue
                yield RawFinding(
                    service.path(*DEVICES),
                    f"{service.name} asks for a GPU, not how many or which",
                )


def amount_written(service: Service) -> bool:
    """Say whether a file writes a count: Compose prints `all` and nothing alike."""
    nodes = [d.find(service.path(*DEVICES)) for d in service.subject.documents]
    return any(item.at("count") for node in nodes if node for item in node.items())


@rule(
    "gpu-visible-beyond",
    "error",
    "CUDA_VISIBLE_DEVICES names a device that the container does not get.",
    why="Inside a container the devices given count from 0. With one device given, "
    "index 1 is none: CUDA sees no GPU, and Ray still counts one.",
    source="Ray 2.9.0 accelerators/nvidia_gpu.py, resource_spec.py:195-204",
    repair="Count from 0 in each container, or leave the variable out.",
)
def gpu_visible_beyond(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        wanted = service.environment.get("CUDA_VISIBLE_DEVICES", "").split(",")
        indexes = [n for one in wanted if (n := whole(one.strip())) is not None]
        given = devices_given(service)
        if given and any(index >= given for index in indexes):
            yield RawFinding(
                service.path("environment", "CUDA_VISIBLE_DEVICES"),
                f"{service.name} gets {given} GPU, counted from 0, and is told to use "
                f"{','.join(wanted)}",
            )


def devices_given(service: Service) -> int:
    """Return how many GPUs a service gets, 0 where that is not known."""
    total = 0
    for request in requests(service):
        ids, count = request.get("device_ids") or (), request.get("count")
        if not ids and not isinstance(count, int):
            return 0
        if not ids and count == -1:
            return 0
        total += len(ids) or int(count or 0)
    return total


@rule(
    "gpu-asked-twice",
    "error",
    "An override or `extends` added a second GPU request to the first.",
    why="Lists of devices are appended, not replaced: the container asks for the old "
    "device and the new one.",
    source="run on Compose 2.26.1: [{count: 1}, {device_ids: ['0']}]",
    repair="Write `devices: !override` in the later file.",
)
def gpu_asked_twice(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        found = requests(service)
        if len(found) > 1 and len({str(one.get("driver")) for one in found}) == 1:
            yield RawFinding(
                service.path(*DEVICES),
                f"{service.name} asks for GPUs {len(found)} times",
            )


@rule(
    "shm-below-store",
    "warning",
    "Ray's object store does not fit into the container's shared memory.",
    why="Ray takes /dev/shm only when it is larger than the store, strictly; else it "
    "warns once and keeps objects on disk, slowly.",
    source="run with Ray 2.9.0; services.py:1975-2009",
    repair="Make `shm_size` a tenth larger than the store.",
)
def shm_below_store(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        wanted = flag_of(service, "--object-store-memory") or service.environment.get(
            "RAY_OBJECT_STORE_MEMORY", ""
        )
        store, shm = size(wanted), size(service.get("shm_size"))
        if store and shm and shm <= store:
            yield RawFinding(
                service.path("shm_size"),
                f"{service.name} has {shown(shm)} of shared memory for an object store "
                f"of {shown(store)}",
            )
