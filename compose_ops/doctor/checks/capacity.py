"""The engine's memory and CPU, compared with what the chosen mode requires."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from compose_ops.docker.api import EngineInfo
from compose_ops.doctor.facts.host import Handles, Kernel
from compose_ops.doctor.facts.settings import Settings
from compose_ops.doctor.registry import check
from compose_ops.lint import Finding
from compose_ops.products import Product, load
from compose_ops.project.model import Model
from compose_ops.runtime.context import StackContext
from compose_ops.units import readable_size
from compose_ops.verdicts import Verdict, command, fail, ok, skip, warn

MARGIN = 1.04
"""A machine sold with 32 GB shows 31.2 GiB: the kernel reserves some of it."""

OVERCOMMIT = 1.25
"""Limits may add up to this share of the memory; beyond, a process may be killed."""

FILES_SHARE = 0.8


def demand(model: Model, names: tuple[str, ...], kind: str) -> int:
    """Return the bytes of memory that `limits` or `reservations` add up to."""
    return sum(model.memory(name, kind) * model.replicas(name) for name in names)


@check(
    "memory",
    "The engine's memory is enough for the mode's reservations and limits.",
    why="Limits reserve nothing: on a machine that is too small the kernel kills a "
    "database when it is busiest.",
)
def memory(
    stack: StackContext, info: EngineInfo, model: Model, wanted: tuple[str, ...]
) -> Iterator[Verdict]:
    have = info.memory * MARGIN
    limits, reserved = (demand(model, wanted, k) for k in ("limits", "reservations"))
    figures = (
        f"{readable_size(info.memory)} of memory, reservations "
        f"{readable_size(reserved)}, limits {readable_size(limits)}"
    )
    light = stack.modes.substituting
    smaller = f"invoke up --{light}" if light else "invoke stats"
    if reserved > have:
        yield fail(
            f"the engine has too little memory: {figures}", smaller, about="memory"
        )
    elif limits > have * OVERCOMMIT:
        yield warn(f"memory may run out under load: {figures}", smaller, about="memory")
    else:
        yield ok(figures)


@check(
    "cpu-limits",
    "No service may use more cores than the engine has.",
    why="The engine refuses to create such a container.",
)
def cpu_limits(
    *,
    stack: StackContext,
    settings: Settings,
    info: EngineInfo,
    model: Model,
    cpu_findings: tuple[Finding, ...],
) -> Iterator[Verdict]:
    for finding in cpu_findings:
        service = finding.path.split(".")[1]
        variable = cpu_variable(stack, settings, model.cpus(service, "limits"))
        repair = command("invoke", "lint", "--rule", finding.rule)
        if variable:
            repair = settings.assignment(variable, str(info.cpus))
        yield fail(finding.message, repair, about=finding.path)
    if not cpu_findings:
        yield ok(f"{info.cpus} CPUs are enough for every limit")


def cpu_variable(stack: StackContext, settings: Settings, limit: float) -> str:
    """Return the project's variable that a limit of CPUs comes from, or nothing."""
    for name in stack.config.init.at_most_cpus:
        with suppress(ValueError):
            if float(settings.in_force.get(name, "")) == limit:
                return name
    return ""


@check(
    "cpu-sum",
    "The engine's cores are enough for the mode's reservations and limits.",
    why="Busy services share the cores: each is slower than its limit allows.",
)
def cpu_sum(
    *,
    stack: StackContext,
    settings: Settings,
    info: EngineInfo,
    model: Model,
    wanted: tuple[str, ...],
) -> Iterator[Verdict]:
    limits, reserved = (
        sum(model.cpus(name, kind) * model.replicas(name) for name in wanted)
        for kind in ("limits", "reservations")
    )
    figures = f"{info.cpus} CPUs, reservations {reserved:g}, limits {limits:g}"
    if reserved > info.cpus or limits > info.cpus * OVERCOMMIT:
        number = sum(model.replicas(n) for n in wanted if model.cpus(n, "limits"))
        each = max(1, info.cpus // max(1, number))
        variable = next(iter(stack.config.init.at_most_cpus), "")
        repair = "invoke config"
        if variable:
            repair = settings.assignment(variable, str(each))
        yield warn(f"cores may be short under load: {figures}", repair, about="cpus")
    else:
        yield ok(figures)


@check(
    "map-count",
    "The kernel allows a process enough memory mappings.",
    why="Some databases map many files: at the limit an allocation fails under load, "
    "long after a successful start.",
)
def map_count(
    stack: StackContext, kernel: Kernel, model: Model, wanted: tuple[str, ...]
) -> Iterator[Verdict]:
    needs = {
        name: product.map_count
        for name, product in products_of(stack, model, wanted).items()
        if product.map_count
    }
    least = max(needs.values(), default=0)
    figures = f"vm.max_map_count is {kernel.max_map_count}"
    if not kernel.max_map_count:
        yield skip("vm.max_map_count cannot be read")
    elif not needs:
        yield ok(f"{figures}; no service is known to map many files")
    elif kernel.max_map_count < least:
        yield warn(
            f"{figures}, {' and '.join(sorted(needs))} need {least}",
            f"sudo sysctl -w vm.max_map_count={least}",
            about="map-count",
        )
    else:
        yield ok(figures)


def products_of(
    stack: StackContext, model: Model, names: Iterable[str]
) -> dict[str, Product]:
    """Return the known products that services run; none in a mode of substitutes."""
    if stack.mode.substitutes:
        return {}
    known = load(stack.product_files)
    found = {name: known.of_service(model.service(name)) for name in names}
    return {name: product for name, product in found.items() if product}


@check(
    "machine-files",
    "The machine has spare file descriptors.",
    why="At the limit every process of the machine fails to open files.",
)
def files_of_machine(kernel: Kernel) -> Iterator[Verdict]:
    if not kernel.files_limit:
        yield skip("fs.file-nr cannot be read")
        return
    figures = f"{kernel.files_open} of {kernel.files_limit} file descriptors are in use"
    if kernel.files_open > kernel.files_limit * FILES_SHARE:
        larger = kernel.files_limit * 2
        yield warn(figures, f"sudo sysctl -w fs.file-max={larger}", about="files")
    else:
        yield ok(figures)


@check(
    "file-descriptors",
    "Containers have spare file descriptors, and stores have enough of them.",
    why="At its limit a store can open no more tables and refuses connections.",
)
def file_descriptors(
    stack: StackContext, handles: tuple[Handles, ...], model: Model
) -> Iterator[Verdict]:
    sound = True
    there = {handle.service for handle in handles} & model.services.keys()
    products = products_of(stack, model, there)
    for handle in handles:
        detail = ""
        if handle.used is not None and handle.used > handle.soft * FILES_SHARE:
            detail = (
                f"{handle.service} uses {handle.used} of {handle.soft} file descriptors"
            )
        elif (
            handle.service in products
            and handle.hard < products[handle.service].open_files
        ):
            detail = f"{handle.service} may open only {handle.hard} files"
        if detail:
            sound = False
            yield warn(detail, more_files(), about=f"files {handle.service}")
    if sound:
        least = min((handle.hard for handle in handles), default=0)
        yield ok(
            f"containers may open {least} files" if handles else "no container runs"
        )


def more_files() -> str:
    """Return what gives containers more descriptors from their next start on."""
    folder = "/etc/systemd/system/containerd.service.d"
    text = "[Service]\\nLimitNOFILE=1048576\\n"
    return (
        f"sudo mkdir -p {folder} && printf '{text}' | sudo tee {folder}/files.conf && "
        "sudo systemctl daemon-reload && sudo systemctl restart containerd docker"
    )
