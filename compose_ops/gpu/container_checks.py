"""
The rungs of the stack: requests, probe, CUDA, architecture, torch, Ray, the container.

Sources: minimum drivers in NVIDIA's CUDA compatibility guide, Minor Version
Compatibility; architectures of PyPI's torch 2.0.1 in pytorch/pytorch#90761 and #110153.
"""

import re
from collections.abc import Iterator, Sequence

from compose_ops.gpu.facts import ALL, Attempt, Device, Facts, Request, Wheel
from compose_ops.verdicts import Verdict, command, fail, listed, ok, skip, warn

MINIMUM_DRIVER = {11: 450, 12: 525, 13: 580}
"""The oldest driver branch that runs a CUDA major version, on Linux."""

NOBODY_ASKS = "no service of this mode asks for a GPU"

_NAMED = re.compile(r"^\s*(?:GPU|MIG) ", re.MULTILINE)
_ARCHITECTURE = re.compile(r"(sm|compute)_(\d+)(\d)a?")


def request(facts: Facts) -> Iterator[Verdict]:
    """Judge whether what the services ask for is there, and promised once."""
    asked = facts.requests
    if not asked:
        yield ok(NOBODY_ASKS)
        return
    if facts.host is None:
        yield skip("which GPUs there are is not known from here")
        return
    there = facts.host.devices
    faults = [*_absent(asked, there), *_too_many(asked, there), *_twice(asked, there)]
    yield from faults[:1]
    if not faults:
        named = [f"{r.service}: {wish(r)}" for r in asked]
        yield ok(f"{listed(named)} of {len(there)} GPUs")
        yield from _shared(asked, there)


def wish(one: Request) -> str:
    if one.ids:
        return f"GPU {', '.join(one.ids)}"
    return "all" if one.count == ALL else str(one.count)


def _names(device: Device) -> set[str]:
    return {str(device.index), device.uuid}


def _absent(asked: Sequence[Request], there: Sequence[Device]) -> Iterator[Verdict]:
    known = {name for device in there for name in _names(device)}
    for one in asked:
        for name in one.ids:
            if name not in known and not name.startswith("MIG-"):
                said = f"{one.service} asks for GPU {name}; there are {len(there)}"
                yield fail(said, "nvidia-smi -L", about=f"{one.service} {name}")


def _too_many(asked: Sequence[Request], there: Sequence[Device]) -> Iterator[Verdict]:
    for one in asked:
        if one.count > len(there):
            said = f"{one.service} asks for {one.count} GPUs; there are {len(there)}"
            yield fail(said, "invoke up --gpu off", about=one.service)


def _twice(asked: Sequence[Request], there: Sequence[Device]) -> Iterator[Verdict]:
    """Fail where two services name one GPU, by its number or by its UUID."""
    owners: dict[str, str] = {}
    for one in asked:
        for name in _named_devices(one, there):
            other = owners.setdefault(name, one.service)
            if other != one.service:
                said = f"GPU {name} is promised to {other} and to {one.service}"
                yield fail(said, "invoke config", about=f"twice {name}")


def _named_devices(one: Request, there: Sequence[Device]) -> list[str]:
    """Return the numbers of the GPUs that a request names; a MIG instance's name."""
    numbers = {name: str(d.index) for d in there for name in _names(d)}
    return [numbers.get(name, name) for name in one.ids]


def _shared(asked: Sequence[Request], there: Sequence[Device]) -> Iterator[Verdict]:
    """Warn where a count takes the first GPUs, and another service has one of these."""
    owners: dict[str, Request] = {}
    for one in asked:
        counted = there if one.count == ALL else there[: one.count]
        taken = [str(d.index) for d in counted] or _named_devices(one, there)
        for name in taken:
            other = owners.setdefault(name, one)
            if other.service != one.service:
                yield warn(
                    f"{one.service} and {other.service} both get GPU {name}, for a "
                    "count takes the first ones: they share its memory",
                    "invoke config",
                    about=f"shared {name}",
                )


def probe(facts: Facts) -> Iterator[Verdict]:
    """Judge whether a fresh container sees the GPU."""
    found = facts.probe
    if found.skipped:
        yield skip(found.skipped)
    elif found.code == 0 and _NAMED.search(found.output):
        yield ok(f"a container sees {len(_NAMED.findall(found.output))} GPUs")
    elif "load library failed" in found.output:
        said = "the container toolkit finds no driver library to hand in"
        yield fail(
            said, "sudo ldconfig && sudo systemctl restart docker", about="library"
        )
    else:
        said = f"a container gets no GPU: {last_line(found.output)}"
        repair = "sudo nvidia-ctk runtime configure --runtime=docker"
        yield fail(said, f"{repair} && sudo systemctl restart docker", about="probe")


def last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else "no output"


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
            said = f"driver {version} is too old for CUDA {cuda} of {what}"
            said += f": {least} is the oldest that runs it"
            yield fail(said, "sudo apt-get install -y nvidia-driver", about=what)
            return
    yield ok(f"driver {version} runs CUDA {' and '.join(sorted(set(known.values())))}")


def capability(facts: Facts) -> Iterator[Verdict]:
    """Judge whether the wheel in use was built for these GPUs."""
    wheel, host = facts.wheel, facts.host
    if host is None or not wheel.architectures:
        yield skip("what torch was built for is not known")
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


def computes(facts: Facts) -> Iterator[Verdict]:
    """Judge whether torch, in the service's image, gets the right numbers."""
    if not computes_with(facts):
        yield skip(f"{facts.service} asks for no GPU")
        return
    done = facts.computation
    if done.skipped:
        yield skip(done.skipped)
    elif not done.is_available:
        why = last_line(done.error) if done.error else "CUDA is not available"
        said = f"torch sees no GPU in the image: {why}"
        yield fail(
            said, f"invoke rebuild --service {facts.service}", about="unavailable"
        )
    elif done.error:
        said = f"torch fails on {done.device}: {last_line(done.error)}"
        yield fail(said, f"invoke rebuild --service {facts.service}", about="error")
    elif not done.is_right:
        said = f"torch computes wrong numbers on {done.device}"
        yield fail(said, "sudo nvidia-smi --gpu-reset", about="wrong")
    else:
        yield ok(f"torch computes on {done.device}, and the numbers are right")


def ray_counts(facts: Facts) -> Iterator[Verdict]:
    """Judge whether Ray counts the GPUs that its head was promised."""
    if not computes_with(facts):
        yield skip(f"{facts.service} asks for no GPU")
        return
    found = facts.ray_gpus
    wanted = promised(facts)
    if found.skipped or not facts.requests:
        yield skip(found.skipped or NOBODY_ASKS)
        return
    counted = float(found.output) if found.code == 0 else 0.0
    if counted >= max(1, wanted):
        yield ok(f"Ray counts {counted:g} GPUs")
        return
    said = f"Ray counts {counted:g} GPUs, {facts.service} was promised {wanted}"
    said += f": {last_line(found.output)}" if found.code else ""
    yield fail(said, recreate(facts), about="ray")


def computes_with(facts: Facts) -> bool:
    """Say whether the service has to do with a GPU: Ray's head may only schedule."""
    return bool(promised(facts)) or facts.service.startswith("ray-")


def promised(facts: Facts) -> int:
    """Return how many GPUs the service asks for."""
    there = len(facts.host.devices) if facts.host else 1
    own = [one for one in facts.requests if one.service == facts.service]
    return sum(len(r.ids) or (there if r.count == ALL else r.count) for r in own)


def running(facts: Facts) -> Iterator[Verdict]:
    """Judge whether the running container still has its GPU."""
    found: Attempt = facts.running
    if found.skipped:
        yield skip(found.skipped)
    elif found.code == 0 and _NAMED.search(found.output):
        yield ok(f"the running {facts.service} sees its GPU")
    else:
        said = f"the running {facts.service} lost its GPU: {last_line(found.output)}"
        yield fail(said, recreate(facts), about="lost")


def recreate(facts: Facts) -> str:
    """Return what makes a service's container anew: a restart keeps the lost device."""
    name = facts.container or facts.service
    remove = command("docker", "rm", "--force", name)
    return f"{remove} && {command('invoke', 'up', '--service', facts.service)}"
