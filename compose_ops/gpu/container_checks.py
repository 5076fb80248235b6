"""
Checks of the stack: requests, probe, CUDA, architecture, torch, Ray, the container.

Sources: minimum drivers in NVIDIA's CUDA compatibility guide, Minor Version
Compatibility; architectures of PyPI's torch 2.0.1 in pytorch/pytorch#90761 and #110153.
"""

import re
from collections.abc import Iterator, Sequence

from compose_ops.gpu.facts import ALL, Attempt, Device, Facts, Request, Wheel
from compose_ops.redaction import clean
from compose_ops.verdicts import Verdict, command, fail, listed, ok, skip, warn

MINIMUM_DRIVER = {11: 450, 12: 525, 13: 580}
"""The oldest driver branch that runs a CUDA major version, on Linux."""

NO_REQUEST = "no service of this mode requests a GPU"

_CUDA_ERROR = re.compile(r"\bError \d+: [^(\n]+")
_NAMED = re.compile(r"^\s*(?:GPU|MIG) ", re.MULTILINE)
_ARCHITECTURE = re.compile(r"(sm|compute)_(\d+)(\d)a?")


def requests_satisfied(facts: Facts) -> Iterator[Verdict]:
    """Judge whether the requested GPUs exist, each for one service only."""
    asked = facts.requests
    if not asked:
        yield ok(NO_REQUEST)
        return
    if facts.host is None:
        yield skip("the GPUs of another machine are not known")
        return
    available = facts.host.devices
    faults = [
        *_absent(asked, available),
        *_too_many(asked, available),
        *_twice(asked, available),
    ]
    yield from faults[:1]
    if not faults:
        named = [f"{r.service}: {amount(r)}" for r in asked]
        yield ok(f"{listed(named)} of {len(available)} GPUs")
        yield from _shared(asked, available)


def amount(request: Request) -> str:
    if request.ids:
        return f"GPU {', '.join(request.ids)}"
    return "all" if request.count == ALL else str(request.count)


def has(available: Sequence[Device]) -> str:
    return f"the machine has {len(available)}"


def _names(device: Device) -> set[str]:
    return {str(device.index), device.uuid}


def _absent(asked: Sequence[Request], available: Sequence[Device]) -> Iterator[Verdict]:
    known = {name for device in available for name in _names(device)}
    for request in asked:
        for name in request.ids:
            if name not in known and not name.startswith("MIG-"):
                detail = f"{request.service} requests GPU {name}; {has(available)}"
                yield fail(detail, "nvidia-smi -L", about=f"{request.service} {name}")


def _too_many(
    asked: Sequence[Request], available: Sequence[Device]
) -> Iterator[Verdict]:
    for request in asked:
        if request.count > len(available):
            yield fail(
                f"{request.service} requests {request.count} GPUs; {has(available)}",
                "invoke up --gpu off",
                about=request.service,
            )


def _twice(asked: Sequence[Request], available: Sequence[Device]) -> Iterator[Verdict]:
    """Fail where two services name one GPU, by its number or by its UUID."""
    owners: dict[str, str] = {}
    for request in asked:
        for name in _named_devices(request, available):
            other = owners.setdefault(name, request.service)
            if other != request.service:
                detail = f"GPU {name} is requested by {other} and by {request.service}"
                yield fail(detail, "invoke config", about=f"twice {name}")


def _named_devices(request: Request, available: Sequence[Device]) -> list[str]:
    """Return the numbers of the GPUs that a request names; a MIG instance's name."""
    numbers = {name: str(d.index) for d in available for name in _names(d)}
    return [numbers.get(name, name) for name in request.ids]


def _shared(asked: Sequence[Request], available: Sequence[Device]) -> Iterator[Verdict]:
    """Warn where a count takes the first GPUs, and another service has one of these."""
    owners: dict[str, Request] = {}
    for request in asked:
        counted = available if request.count == ALL else available[: request.count]
        taken = [str(d.index) for d in counted] or _named_devices(request, available)
        for name in taken:
            other = owners.setdefault(name, request)
            if other.service != request.service:
                yield warn(
                    f"{request.service} and {other.service} both get GPU {name}, "
                    "because a count takes the first ones: they share its memory",
                    "invoke config",
                    about=f"shared {name}",
                )


def container_sees_gpu(facts: Facts) -> Iterator[Verdict]:
    """Judge whether a fresh container sees the GPU."""
    found = facts.probe
    if found.skipped:
        yield skip(found.skipped)
    elif found.code == 0 and _NAMED.search(found.output):
        yield ok(f"a new container sees {len(_NAMED.findall(found.output))} GPUs")
    elif "load library failed" in found.output:
        detail = "the container toolkit finds no driver library to mount"
        yield fail(
            detail, "sudo ldconfig && sudo systemctl restart docker", about="library"
        )
    else:
        detail = f"a new container gets no GPU: {last_line(found.output)}"
        repair = "sudo nvidia-ctk runtime configure --runtime=docker"
        yield fail(detail, f"{repair} && sudo systemctl restart docker", about="probe")


def last_line(text: str) -> str:
    lines = [line for line in clean(text).strip().splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else "no output"


def error_line(text: str) -> str:
    """Return CUDA's error in a warning of torch, or the last line about any error."""
    found = _CUDA_ERROR.search(text)
    if found:
        return found[0].strip()
    about = [line for line in text.splitlines() if "Error" in line or "CUDA" in line]
    return last_line("\n".join(about) or text)


def driver_for_cuda(facts: Facts) -> Iterator[Verdict]:
    """Judge whether the driver is new enough for the image's CUDA and the wheel's."""
    version = "" if facts.host is None else facts.host.library or facts.host.module
    wheel = facts.wheel
    wanted = {"the image": facts.image_cuda, f"torch {wheel.version}": wheel.cuda}
    known = {what: cuda for what, cuda in wanted.items() if cuda}
    if not version or not known:
        yield skip("the driver's or the image's version is not known")
        return
    branch = int(version.partition(".")[0])
    for what, cuda in known.items():
        least = MINIMUM_DRIVER.get(int(cuda.partition(".")[0]), 0)
        if branch < least:
            detail = f"driver {version} is too old for CUDA {cuda} of {what}"
            detail += f": {least} is the minimum"
            yield fail(detail, "sudo apt-get install -y nvidia-driver", about=what)
            return
    yield ok(f"driver {version} runs CUDA {' and '.join(sorted(set(known.values())))}")


def torch_built_for(facts: Facts) -> Iterator[Verdict]:
    """Judge whether the wheel in use was built for these GPUs."""
    wheel, host = facts.wheel, facts.host
    if host is None or not wheel.architectures:
        yield skip("the architectures that torch was built for are not known")
        return
    for device in host.devices:
        if device.capability and not supports(wheel, device.capability):
            architecture = device.capability.replace(".", "")
            yield fail(
                f"torch {wheel.version} ({wheel.source}) has no sm_{architecture} of "
                f"the {device.name}; it has {' '.join(wheel.architectures)}",
                newer_torch(facts.service),
                about=f"sm_{architecture}",
            )
            return
    yield ok(f"torch {wheel.version} was built for these GPUs")


def newer_torch(service: str) -> str:
    """Return what moves to torch 2.1, the first on PyPI with sm_90 (CUDA 12.1)."""
    change = "s/torch==2.0.1/torch==2.1.2/; s/torchvision==0.15.2/torchvision==0.16.2/"
    files = [
        f"docker/services/ray/{name}" for name in ("Dockerfile", "requirements.in")
    ]
    edit = command("sed", "-i", change, *files)
    return f"{edit} && ./scripts/lock.sh && invoke rebuild --service {service}"


def supports(wheel: Wheel, capability: str) -> bool:
    """
    Say whether code in the wheel runs on a GPU of that capability.

    Machine code (sm) runs on the same major version from its minor version on;
    intermediate code (compute) on everything newer.
    """
    major, minor = (int(part) for part in capability.split("."))
    for name in wheel.architectures:
        found = _ARCHITECTURE.fullmatch(name)
        if found is None:
            continue
        built = (int(found[2]), int(found[3]))
        if found[1] == "compute" and built <= (major, minor):
            return True
        if built[0] == major and built[1] <= minor:
            return True
    return False


CUDA_ERRORS = {
    "Error 802: system not yet initialized": (
        "system not yet initialized",
        "sudo systemctl enable --now nvidia-fabricmanager",
    ),
    "Error 803: system has unsupported driver combination": (
        "unsupported display driver / cuda driver combination",
        "sudo reboot",
    ),
    "Error 804: the image's forward compatibility does not support this GPU": (
        "forward compatibility was attempted on non supported",
        "sudo apt-get install -y nvidia-driver",
    ),
}
"""
What CUDA says in a longer text, and its repair.

CUDA Runtime API, cudaError: 802 is a driver's daemon that does not run, on machines
with NVSwitch the fabric manager; 803 a library of another driver; 804 the library of a
newer driver on a GPU for which only that of a data centre is made.
"""


def cuda_error(text: str) -> tuple[str, str] | None:
    """Return CUDA's known error in what torch printed, and its repair."""
    for reason, (phrase, repair) in CUDA_ERRORS.items():
        if phrase in text:
            return reason, repair
    return None


def rebuild(service: str) -> str:
    return command("invoke", "rebuild", "--service", service)


def unavailable(service: str, printed: str) -> Verdict:
    """Return the verdict on a torch without CUDA, by what it printed."""
    error = cuda_error(printed)
    if error:
        return fail(f"torch cannot use the GPU: {error[0]}", error[1], about=error[0])
    reason = error_line(printed) if printed.strip() else "CUDA is not available"
    detail = f"torch sees no GPU in the image: {reason}"
    return fail(detail, rebuild(service), about="unavailable")


def torch_computes(facts: Facts) -> Iterator[Verdict]:
    """Judge whether torch, in the service's image, computes correctly."""
    if not uses_gpu(facts):
        yield skip(f"{facts.service} requests no GPU")
        return
    done = facts.computation
    if done.skipped:
        yield skip(done.skipped)
    elif not done.is_available:
        yield unavailable(facts.service, done.error)
    elif done.error:
        error = cuda_error(done.error)
        reason, repair = error or (last_line(done.error), rebuild(facts.service))
        yield fail(f"torch fails on {done.device}: {reason}", repair, about="error")
    elif not done.is_right:
        detail = f"torch returns wrong numbers on {done.device}"
        yield fail(detail, "sudo nvidia-smi --gpu-reset", about="wrong")
    else:
        yield ok(f"torch computes correctly on {done.device}")


def ray_counts(facts: Facts) -> Iterator[Verdict]:
    """Judge whether Ray counts the GPUs that its head requests."""
    if not uses_gpu(facts):
        yield skip(f"{facts.service} requests no GPU")
        return
    found = facts.ray_gpus
    wanted = requested(facts)
    if found.skipped or not facts.requests:
        yield skip(found.skipped or NO_REQUEST)
        return
    counted = _number(found.output) if found.code == 0 else 0.0
    if counted >= max(1, wanted):
        yield ok(f"Ray counts {counted:g} GPUs")
        return
    detail = f"Ray counts {counted:g} GPUs, {facts.service} requests {wanted}"
    detail += f": {last_line(found.output)}" if found.code else ""
    yield fail(detail, recreate(facts), about="ray")


def _number(printed: str) -> float:
    """Return the number that was printed, 0 for what is none."""
    try:
        return float(printed)
    except ValueError:
        return 0.0


def uses_gpu(facts: Facts) -> bool:
    """Say whether the service concerns GPUs: Ray's head may only schedule them."""
    return bool(requested(facts)) or facts.service.startswith("ray-")


def requested(facts: Facts) -> int:
    """Return how many GPUs the service requests."""
    available = len(facts.host.devices) if facts.host else 1
    own = [r for r in facts.requests if r.service == facts.service]
    return sum(len(r.ids) or (available if r.count == ALL else r.count) for r in own)


def running_container_sees_gpu(facts: Facts) -> Iterator[Verdict]:
    """Judge whether the running container still has its GPU."""
    found: Attempt = facts.running
    if found.skipped:
        yield skip(found.skipped)
    elif found.code == 0 and _NAMED.search(found.output):
        yield ok(f"the running {facts.service} sees its GPU")
    else:
        detail = f"the running {facts.service} lost its GPU: {last_line(found.output)}"
        yield fail(detail, recreate(facts), about="lost")


def recreate(facts: Facts) -> str:
    """Return how to recreate a container: a restart keeps the lost device."""
    name = facts.container or facts.service
    remove = command("docker", "rm", "--force", name)
    return f"{remove} && {command('invoke', 'up', '--service', facts.service)}"
