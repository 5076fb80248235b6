"""
Checks of this machine: GPU, driver, devices, toolkit, CDI.

Sources: NVIDIA's Xid catalogue; nvmlReturn_t in the NVML API reference; the container
toolkit's troubleshooting page and nvidia-container-toolkit#48, #1227, #1730;
k8s-device-plugin internal/rm/health.go for errors that an application causes.
"""

from collections.abc import Iterator

from compose_ops.errors import START_ENGINE
from compose_ops.gpu.facts import Facts, Host, Xid
from compose_ops.units import readable_size
from compose_ops.verdicts import Verdict, command, fail, listed, ok, skip, warn

CPU_MODE = "CPU mode: services run without a GPU"
ELSEWHERE = "the engine is not on this machine"
INSTALL_TOOLKIT = "sudo apt-get install -y nvidia-container-toolkit"
RESTART = "sudo systemctl restart docker"
CONFIGURE = f"sudo nvidia-ctk runtime configure --runtime=docker && {RESTART}"
GENERATE = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
SYMLINKS = "sudo nvidia-ctk system create-dev-char-symlinks --create-all"
"""
Lets systemd find the devices when it sets a container's rules again.

Only a request that names CDI is safe without it: whether one by the driver nvidia uses
a CDI file depends on the engine's version (moby#50228, #52704).
"""

APPLICATION_XIDS = frozenset({13, 31, 43, 45, 68, 109})
"""Reports that a faulty program causes on a healthy GPU."""

REBOOT_XIDS = frozenset({79, 119, 120, 154})
"""The GPU fell off the bus, its firmware hangs, or it asks for recovery itself."""

RECENT = 24 * 3600.0


def has_gpu(host: Host) -> bool:
    through_windows = host.is_wsl and host.wsl_driver
    return bool(host.hardware or host.devices or host.module or through_windows)


def is_present(facts: Facts) -> bool:
    """Say whether there is a GPU; on another machine, whether its engine has one."""
    if facts.host is not None:
        return has_gpu(facts.host)
    return facts.toolkit.has_runtime or facts.toolkit.has_cdi


def required(facts: Facts) -> Verdict:
    """Return the verdict on a missing GPU that is required."""
    if facts.host is None:
        detail = "the engine offers no NVIDIA GPU, and --require is set"
        return fail(detail, f"{INSTALL_TOOLKIT} && {CONFIGURE}", about="none")
    detail = "this machine has no NVIDIA GPU, and --require is set"
    return fail(detail, "lspci -d 10de:", about="none")


def gpu_present(facts: Facts) -> Iterator[Verdict]:
    """Judge whether there is a GPU; none is a normal result."""
    host = facts.host
    if not is_present(facts):
        where = "the engine offers" if host is None else "this machine has"
        yield ok(f"{where} no NVIDIA GPU. {CPU_MODE}")
    elif host is None:
        yield skip(ELSEWHERE)
    else:
        where = "through WSL2" if host.is_wsl else f"{len(host.hardware)} on the bus"
        yield ok(f"NVIDIA GPU: {where}")


def driver_loaded(facts: Facts) -> Iterator[Verdict]:
    """Judge whether the driver is loaded and matches its library."""
    host = facts.host
    if host is None:
        yield skip(ELSEWHERE)
    elif host.trouble == "mismatch" or _differs(host):
        versions = (
            f"the module is {host.module or '?'}, the library {host.library or '?'}"
        )
        detail = (
            f"the driver was upgraded while its old kernel module is loaded: {versions}"
        )
        yield fail(detail, "sudo reboot", about="mismatch")
    elif host.trouble == "absent" and not host.module:
        repair = "sudo apt-get install -y nvidia-driver"
        if host.is_wsl:
            repair = "wsl.exe --update"
        yield fail("the GPU's driver is not installed", repair, about="absent")
    elif host.trouble == "absent":
        detail = f"module {host.module} is loaded, but libnvidia-ml is not installed"
        yield fail(detail, "sudo apt-get install -y libnvidia-ml1", about="library")
    elif host.trouble == "unloaded" or not (host.module or host.is_wsl):
        detail = "the driver's kernel module is not loaded"
        yield fail(detail, "sudo modprobe nvidia", about="unloaded")
    elif host.trouble:
        yield fail(f"NVML reports: {host.words}", "sudo reboot", about="nvml")
    else:
        yield ok(f"driver {host.library or host.module}")


def _differs(host: Host) -> bool:
    return bool(host.module and host.library and host.module != host.library)


def devices_work(facts: Facts) -> Iterator[Verdict]:
    """Judge each device: it answers, without memory errors or recent reports."""
    host = facts.host
    if host is None:
        yield skip(ELSEWHERE)
        return
    faults = [*_device_faults(host), *_lasting_reports(host)]
    yield from faults[:1]
    if not faults and not host.devices:
        yield fail("the driver reports no GPU", "sudo reboot", about="none")
    elif not faults:
        names = [f"{d.name} ({readable_size(d.memory)})" for d in host.devices]
        yield ok(f"{len(names)} GPUs: {listed(names, most=2)}")
        yield from _advice(host)


def _device_faults(host: Host) -> Iterator[Verdict]:
    for device in host.devices:
        reset = command("sudo", "nvidia-smi", "--gpu-reset", "-i", device.index)
        if device.fault:
            detail = f"GPU {device.index} does not answer: {device.fault}"
            yield fail(detail, "sudo reboot", about=device.uuid)
        elif device.uncorrected:
            detail = (
                f"GPU {device.index} had {device.uncorrected} uncorrected memory errors"
            )
            yield fail(detail, reset, about=device.uuid)
        elif device.needs_reset:
            detail = f"GPU {device.index} needs a reset to replace faulty memory"
            yield fail(detail, reset, about=device.uuid)
        elif device.instances == 0:
            detail = f"GPU {device.index} is in MIG mode without any instance"
            create = command(
                "sudo", "nvidia-smi", "mig", "-i", device.index, "-cgi", 0, "-C"
            )
            yield fail(detail, create, about=device.uuid)


def _lasting_reports(host: Host) -> Iterator[Verdict]:
    """Fail for a report that only a reboot clears, from the log as well."""
    for report in _reports(host):
        if report.code in REBOOT_XIDS:
            yield fail(
                _description(report),
                "sudo reboot",
                about=f"xid {report.code} {report.device}",
            )


def _past_reports(host: Host) -> Iterator[Verdict]:
    """Warn of one whose GPU answers now: the log keeps it after a reset."""
    for report in _reports(host)[-1:]:
        detail = f"{_description(report)}, and answers now; if it was not reset, do so"
        repair = "sudo nvidia-smi --gpu-reset"
        yield warn(detail, repair, about=f"xid {report.code} {report.device}")


def _reports(host: Host) -> list[Xid]:
    return [report for report in host.xids or () if is_hardware(report)]


def _description(report: Xid) -> str:
    return (
        f"GPU {report.device} reported Xid {report.code} {report.age / 60:.0f} min ago"
    )


def is_hardware(report: Xid) -> bool:
    return report.code not in APPLICATION_XIDS and report.age < RECENT


def _advice(host: Host) -> Iterator[Verdict]:
    yield from _past_reports(host)
    if any(device.is_persistent is False for device in host.devices):
        detail = (
            "persistence mode is off: the first CUDA call of a container takes seconds"
        )
        yield warn(detail, "sudo nvidia-smi -pm 1", about="persistence")
    if host.xids is None:
        yield ok("the kernel log is not readable: Xid errors are not judged")


def toolkit_ready(facts: Facts) -> Iterator[Verdict]:
    """Judge whether the engine can give a GPU to a container."""
    known, host = facts.toolkit, facts.host
    has_runtime, has_cdi = known.has_runtime, known.has_cdi
    if known.trouble:
        detail = f"no Docker Engine answers: {known.trouble}"
        yield fail(detail, START_ENGINE, about="engine")
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
        detail = "the engine does not know the installed container toolkit's runtime"
        yield fail(detail, CONFIGURE, about="unconfigured")
        return
    mechanism = "the nvidia runtime" if has_runtime else "CDI"
    yield ok(f"the engine offers GPUs through {mechanism}")
    by_hook = [r.service for r in facts.requests if not r.by_cdi]
    if by_hook and host is not None and known.cgroup_driver == "systemd":
        yield warn(
            f"{listed(by_hook)} can lose the GPU at a systemctl daemon-reload: the "
            "engine's cgroup driver is systemd and the request is not by CDI",
            SYMLINKS,
            about="systemd",
        )


def cdi_current(facts: Facts) -> Iterator[Verdict]:
    """Judge whether the CDI file was generated for the installed driver."""
    host, specs = facts.host, facts.toolkit.cdi_specs
    version = "" if host is None else host.library or host.module
    stale = [s for s in specs if s.driver and version and s.driver != version]
    if stale:
        path, other = stale[0].path, stale[0].driver
        detail = f"{path} was generated for driver {other}, not {version}"
        yield fail(detail, GENERATE, about=path)
    elif specs:
        yield ok(f"{specs[0].path} matches the driver")
    else:
        yield skip("there is no CDI file")
