"""Memory and CPU as the engine has them, against what the chosen mode asks for."""

from collections.abc import Iterator

from compose_ops.docker.api import EngineInfo
from compose_ops.doctor.facts.host import Handles, Kernel
from compose_ops.doctor.facts.settings import Settings
from compose_ops.doctor.registry import check
from compose_ops.lint import Finding
from compose_ops.project.model import Model
from compose_ops.runtime.context import StackContext
from compose_ops.units import readable_size
from compose_ops.verdicts import Verdict, command, fail, ok, skip, warn

MARGIN = 1.04
"""A machine sold with 32 GB shows 31.2 GiB: the kernel keeps some of it."""

OVERCOMMIT = 1.25
"""Limits may add up to this much of the memory before somebody is killed for it."""

MAP_COUNT = 262144
MAP_COUNT_MEMGRAPH = 524288
"""QuestDB's documentation, Capacity planning; Memgraph's, System configuration
(8 to 64 GB of memory)."""

FILES_SHARE = 0.8
STORE_FILES = 65536
"""QuestDB's documentation recommends 1048576 for a process; a table takes a descriptor
for each column of each partition that is open."""

RAY = "services.ray-"
"""Whose limits the variable RAY_CPUS sets."""

STORES = frozenset({"memgraph", "questdb"})


def demand(model: Model, names: tuple[str, ...], kind: str) -> int:
    """Return the bytes of memory that `limits` or `reservations` add up to."""
    return sum(model.memory(name, kind) * model.replicas(name) for name in names)


@check(
    "memory",
    "The engine's memory carries the mode's reservations and limits.",
    why="Limits reserve nothing: on a machine that is too small the kernel kills a "
    "database when it is busiest.",
)
def memory(
    info: EngineInfo, model: Model, wanted: tuple[str, ...]
) -> Iterator[Verdict]:
    have = info.memory * MARGIN
    limits, reserved = (demand(model, wanted, k) for k in ("limits", "reservations"))
    told = (
        f"{readable_size(info.memory)} of memory, reservations "
        f"{readable_size(reserved)}, limits {readable_size(limits)}"
    )
    smaller = "invoke up --offline"
    if reserved > have:
        yield fail(f"the engine has too little memory: {told}", smaller, about="memory")
    elif limits > have * OVERCOMMIT:
        yield warn(f"memory may run out under load: {told}", smaller, about="memory")
    else:
        yield ok(told)


@check(
    "cpu-limits",
    "No service may use more cores than the engine has.",
    why="The engine refuses to create such a container.",
)
def cpu_limits(
    settings: Settings, info: EngineInfo, cpu_findings: tuple[Finding, ...]
) -> Iterator[Verdict]:
    for one in cpu_findings:
        repair = command("invoke", "lint", "--rule", one.rule)
        if one.path.startswith(RAY):
            repair = settings.assignment("RAY_CPUS", str(info.cpus))
        yield fail(one.message, repair, about=one.path)
    if not cpu_findings:
        yield ok(f"{info.cpus} CPUs are enough for every limit")


@check(
    "cpu-sum",
    "The engine's cores carry the mode's reservations and limits.",
    why="Services that are all busy share what there is: each is slower than its limit "
    "says.",
)
def cpu_sum(
    settings: Settings, info: EngineInfo, model: Model, wanted: tuple[str, ...]
) -> Iterator[Verdict]:
    limits, reserved = (
        sum(model.cpus(name, kind) * model.replicas(name) for name in wanted)
        for kind in ("limits", "reservations")
    )
    told = f"{info.cpus} CPUs, reservations {reserved:g}, limits {limits:g}"
    if reserved > info.cpus or limits > info.cpus * OVERCOMMIT:
        number = sum(model.replicas(n) for n in wanted if model.cpus(n, "limits"))
        each = max(1, info.cpus // max(1, number))
        repair = settings.assignment("RAY_CPUS", str(each))
        yield warn(f"cores may be short under load: {told}", repair, about="cpus")
    else:
        yield ok(told)


@check(
    "map-count",
    "The kernel allows a process enough memory mappings.",
    why="QuestDB and Memgraph map many files: at the limit an allocation fails under "
    "load, long after a start that looked right.",
)
def map_count(
    stack: StackContext, kernel: Kernel, wanted: tuple[str, ...]
) -> Iterator[Verdict]:
    stores = sorted(STORES & set(wanted))
    least = MAP_COUNT_MEMGRAPH if "memgraph" in stores else MAP_COUNT
    told = f"vm.max_map_count is {kernel.max_map_count}"
    if not kernel.max_map_count:
        yield skip("vm.max_map_count cannot be read")
    elif stack.mode.substitutes or not stores:
        yield ok(f"{told}; the stand-ins map few files")
    elif kernel.max_map_count < least:
        yield warn(
            f"{told}, {' and '.join(stores)} want {least}",
            f"sudo sysctl -w vm.max_map_count={least}",
            about="map-count",
        )
    else:
        yield ok(told)


@check(
    "machine-files",
    "The machine has file descriptors to spare.",
    why="At the limit every process of the machine fails to open files.",
)
def files_of_machine(kernel: Kernel) -> Iterator[Verdict]:
    if not kernel.files_limit:
        yield skip("fs.file-nr cannot be read")
        return
    told = f"{kernel.files_open} of {kernel.files_limit} file descriptors are in use"
    if kernel.files_open > kernel.files_limit * FILES_SHARE:
        larger = kernel.files_limit * 2
        yield warn(told, f"sudo sysctl -w fs.file-max={larger}", about="files")
    else:
        yield ok(told)


@check(
    "file-descriptors",
    "Containers have file descriptors to spare, and stores get enough of them.",
    why="At its limit a store can open no more tables and refuses connections.",
)
def file_descriptors(
    stack: StackContext, handles: tuple[Handles, ...]
) -> Iterator[Verdict]:
    sound, stores = True, frozenset() if stack.mode.substitutes else STORES
    for one in handles:
        said = ""
        if one.used is not None and one.used > one.soft * FILES_SHARE:
            said = f"{one.service} uses {one.used} of {one.soft} file descriptors"
        elif one.service in stores and one.hard < STORE_FILES:
            said = f"{one.service} may open {one.hard} files, {STORE_FILES} is little"
        if said:
            sound = False
            yield warn(said, more_files(), about=f"files {one.service}")
    if sound:
        least = min((one.hard for one in handles), default=0)
        yield ok(f"containers may open {least} files" if handles else "nothing runs")


def more_files() -> str:
    """Return what gives every container more descriptors from the next start on."""
    folder = "/etc/systemd/system/containerd.service.d"
    text = "[Service]\\nLimitNOFILE=1048576\\n"
    return (
        f"sudo mkdir -p {folder} && printf '{text}' | sudo tee {folder}/files.conf && "
        "sudo systemctl daemon-reload && sudo systemctl restart containerd docker"
    )
