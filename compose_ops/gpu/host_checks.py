"""
The rungs of this machine: GPU, driver, devices, toolkit, CDI.

Sources: NVIDIA's Xid catalogue; nvmlReturn_t in the NVML API reference; the container
toolkit's troubleshooting page and nvidia-container-toolkit#48, #1227, #1730;
k8s-device-plugin internal/rm/health.go for errors that an application causes.
"""

from collections.abc import Iterator

from compose_ops.errors import START_ENGINE
from compose_ops.gpu.facts import Facts, Host, Xid
from compose_ops.units import readable_size
from compose_ops.verdicts import Verdict, command, fail, listed, ok, skip, warn

CPU_MODE = "CPU mode: the stack runs with docker/overlays/cpu.yml"
ELSEWHERE = "the engine is not on this machine"
INSTALL_TOOLKIT = "sudo apt-get install -y nvidia-container-toolkit"
RESTART = "sudo systemctl restart docker"
CONFIGURE = f"sudo nvidia-ctk runtime configure --runtime=docker && {RESTART}"
GENERATE = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"

APPLICATION_XIDS = frozenset({13, 31, 43, 45, 68, 109})
"""Reports that a faulty program causes on a sound GPU."""

REBOOT_XIDS = frozenset({79, 119, 120, 154})
"""The GPU fell off the bus, its firmware hangs, or it asks for recovery itself."""

RECENT = 24 * 3600.0


def has_gpu(host: Host) -> bool:
    through_windows = host.is_wsl and host.wsl_driver
    return bool(host.hardware or host.devices or host.module or through_windows)


def is_there(facts: Facts) -> bool:
    """Say whether there is a GPU; of another machine's, whether its engine has one."""
    if facts.host is not None:
        return has_gpu(facts.host)
    return facts.toolkit.has_runtime or facts.toolkit.has_cdi


def required(facts: Facts) -> Verdict:
    """Return the verdict on a GPU that is required and is not there."""
    if facts.host is None:
        said = "the engine hands out no NVIDIA GPU, and one is required"
        return fail(said, f"{INSTALL_TOOLKIT} && {CONFIGURE}", about="none")
    said = "no NVIDIA GPU here, and one is required"
    return fail(said, "lspci -d 10de:", about="none")


def gpu_there(facts: Facts) -> Iterator[Verdict]:
    """Look for a GPU; none is a normal result."""
    host = facts.host
    if not is_there(facts):
        where = "that the engine hands out" if host is None else "here"
        yield ok(f"no NVIDIA GPU {where}. {CPU_MODE}")
    elif host is None:
        yield skip(ELSEWHERE)
    else:
        where = "through WSL2" if host.is_wsl else f"{len(host.hardware)} on the bus"
        yield ok(f"NVIDIA GPU: {where}")


def driver(facts: Facts) -> Iterator[Verdict]:
    """Judge whether the driver is loaded and in step with its library."""
    host = facts.host
    if host is None:
        yield skip(ELSEWHERE)
    elif host.trouble == "mismatch" or _differs(host):
        versions = (
            f"the module is {host.module or '?'}, the library {host.library or '?'}"
        )
        said = f"the driver was upgraded under its loaded module: {versions}"
        yield fail(said, "sudo reboot", about="mismatch")
    elif host.trouble == "absent" and not host.module:
        repair = "sudo apt-get install -y nvidia-driver"
        if host.is_wsl:
            repair = "wsl.exe --update"
        yield fail("a GPU is here, its driver is not installed", repair, about="absent")
    elif host.trouble == "absent":
        said = f"module {host.module} is loaded, its library libnvidia-ml is missing"
        yield fail(said, "sudo apt-get install -y libnvidia-ml1", about="library")
    elif host.trouble == "unloaded" or not (host.module or host.is_wsl):
        said = "the driver's kernel module is not loaded"
        yield fail(said, "sudo modprobe nvidia", about="unloaded")
    elif host.trouble:
        yield fail(f"NVML says: {host.words}", "sudo reboot", about="nvml")
    else:
        yield ok(f"driver {host.library or host.module}")


def _differs(host: Host) -> bool:
    return bool(host.module and host.library and host.module != host.library)


def devices(facts: Facts) -> Iterator[Verdict]:
    """Judge each device: it answers, without memory errors or recent reports."""
    host = facts.host
    if host is None:
        yield skip(ELSEWHERE)
        return
    faults = [*_device_faults(host), *_lasting_reports(host)]
    yield from faults[:1]
    if not faults and not host.devices:
        yield fail("the driver sees no GPU", "sudo reboot", about="none")
    elif not faults:
        told = [f"{d.name} ({readable_size(d.memory)})" for d in host.devices]
        yield ok(f"{len(told)} GPUs: {listed(told, most=2)}")
        yield from _advice(host)


def _device_faults(host: Host) -> Iterator[Verdict]:
    for one in host.devices:
        reset = command("sudo", "nvidia-smi", "--gpu-reset", "-i", one.index)
        if one.fault:
            said = f"GPU {one.index} does not answer: {one.fault}"
            yield fail(said, "sudo reboot", about=one.uuid)
        elif one.uncorrected:
            said = f"GPU {one.index} had {one.uncorrected} uncorrected memory errors"
            yield fail(said, reset, about=one.uuid)
        elif one.needs_reset:
            said = f"GPU {one.index} waits for a reset to replace faulty memory"
            yield fail(said, reset, about=one.uuid)
        elif one.instances == 0:
            said = f"GPU {one.index} is in MIG mode without an instance"
            create = command(
                "sudo", "nvidia-smi", "mig", "-i", one.index, "-cgi", 0, "-C"
            )
            yield fail(said, create, about=one.uuid)


def _lasting_reports(host: Host) -> Iterator[Verdict]:
    """Fail for a report that only a reboot ends, which clears the log as well."""
    for one in _reports(host):
        if one.code in REBOOT_XIDS:
            yield fail(_told(one), "sudo reboot", about=f"xid {one.code} {one.device}")


def _past_reports(host: Host) -> Iterator[Verdict]:
    """Warn of one whose GPU answers now: a reset leaves the record in the log."""
    for one in _reports(host)[-1:]:
        said = f"{_told(one)}, and it answers; if it was not reset since, reset it"
        repair = "sudo nvidia-smi --gpu-reset"
        yield warn(said, repair, about=f"xid {one.code} {one.device}")


def _reports(host: Host) -> list[Xid]:
    return [one for one in host.xids or () if is_hardware(one)]


def _told(one: Xid) -> str:
    return f"GPU {one.device} reported Xid {one.code} {one.age / 60:.0f} min ago"


def is_hardware(report: Xid) -> bool:
    return report.code not in APPLICATION_XIDS and report.age < RECENT


def _advice(host: Host) -> Iterator[Verdict]:
    yield from _past_reports(host)
    if any(device.is_persistent is False for device in host.devices):
        said = (
            "persistence mode is off: the first CUDA call of a container takes seconds"
        )
        yield warn(said, "sudo nvidia-smi -pm 1", about="persistence")
    if host.xids is None:
        yield ok("the kernel log may not be read: Xid errors are not judged")


def toolkit(facts: Facts) -> Iterator[Verdict]:
    """Judge whether the engine can hand a GPU to a container."""
    known, host = facts.toolkit, facts.host
    has_runtime, has_cdi = known.has_runtime, known.has_cdi
    if known.trouble:
        said = f"no Docker Engine answers: {known.trouble}"
        yield fail(said, START_ENGINE, about="engine")
        return
    if not has_runtime and not has_cdi and known.has_hook is not True:
        yield fail(
            "the engine has no nvidia runtime and no CDI device: "
            "the container toolkit is missing",
            f"{INSTALL_TOOLKIT} && {CONFIGURE}",
            about="absent",
        )
        return
    if not has_runtime and not has_cdi:
        said = (
            "the container toolkit is installed, the engine does not know its runtime"
        )
        yield fail(said, CONFIGURE, about="unconfigured")
        return
    way = "the nvidia runtime" if has_runtime else "CDI"
    yield ok(f"the engine hands out GPUs through {way}")
    if host is not None and known.cgroup_driver == "systemd" and not has_cdi:
        yield warn(
            "with systemd's cgroups a daemon-reload takes the GPU from a running "
            "container; CDI does not lose it",
            GENERATE,
            about="systemd",
        )


def cdi(facts: Facts) -> Iterator[Verdict]:
    """Judge whether CDI's file was made for the driver that is there."""
    host, specs = facts.host, facts.toolkit.cdi_specs
    version = "" if host is None else host.library or host.module
    stale = [s for s in specs if s.driver and version and s.driver != version]
    if stale:
        path, other = stale[0].path, stale[0].driver
        said = f"{path} names the files of driver {other}, not {version}"
        yield fail(said, GENERATE, about=path)
    elif specs:
        yield ok(f"{specs[0].path} is of this driver")
    else:
        yield skip("no CDI file")
