"""What this machine tells about its GPUs besides NVML: bus, module, kernel log, CDI."""

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from compose_ops.gpu import nvml
from compose_ops.gpu.facts import CdiSpec, Host, Xid

NVIDIA = "0x10de"
DISPLAY_CLASSES = ("0x0300", "0x0302")
WSL_LIBRARY = "usr/lib/wsl/lib/libnvidia-ml.so.1"
RECORD = 8192
_MODULE = re.compile(r"Kernel Module(?:\s+for\s+\S+)?\s+(\d+\.\d+(?:\.\d+)?)")
_XID = re.compile(r"NVRM: Xid \(([^)]+)\): (\d+)")
_LIBRARY = re.compile(r"libcuda\.so\.(\d+\.\d+(?:\.\d+)?)")


def inspect(root: Path = Path("/")) -> Host:
    """Return the driver and the devices of this machine; changes nothing."""
    trouble, words, version, devices = nvml.ask(nvml.library())
    return Host(
        hardware=tuple(hardware(root)),
        module=module_version(root),
        library=version,
        trouble=trouble,
        words=words,
        devices=devices,
        xids=kernel_reports(),
        is_wsl=(root / "dev/dxg").exists(),
        wsl_driver=(root / WSL_LIBRARY).exists(),
    )


def hardware(root: Path) -> Iterator[str]:
    """Yield the PCI addresses of NVIDIA's display and compute devices."""
    for device in sorted((root / "sys/bus/pci/devices").glob("*")):
        vendor, kind = _read(device / "vendor"), _read(device / "class")
        if vendor == NVIDIA and kind.startswith(DISPLAY_CLASSES):
            yield device.name


def module_version(root: Path) -> str:
    """Return the loaded kernel module's version, nothing when none is loaded."""
    found = _MODULE.search(_read(root / "proc/driver/nvidia/version"))
    return found[1] if found else ""


def kernel_reports() -> tuple[Xid, ...] | None:
    """Return the driver's reports since boot, None when the log is not readable."""
    try:
        handle = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return tuple(parse_reports(_records(handle), time.monotonic()))
    finally:
        os.close(handle)


def _records(handle: int) -> Iterator[str]:
    while True:
        try:
            yield os.read(handle, RECORD).decode(errors="replace")
        except BrokenPipeError:
            continue
        except OSError:
            return


def parse_reports(records: Iterable[str], now: float) -> Iterator[Xid]:
    """Read records such as `3,1,5000000,-;NVRM: Xid (PCI:0000:01:00): 79, …`."""
    for record in records:
        head, _, message = record.partition(";")
        found = _XID.search(message)
        if found:
            begun = int(head.split(",")[2]) / 1e6
            device = found[1].removeprefix("PCI:")
            yield Xid(int(found[2]), device, max(0.0, now - begun))


def has_hook() -> bool:
    """Say whether the container toolkit's hook is installed."""
    names = ("nvidia-container-runtime-hook", "nvidia-container-toolkit", "nvidia-ctk")
    return any(shutil.which(name) for name in names)


def cdi_specs(folders: Iterable[str]) -> tuple[CdiSpec, ...]:
    """Return CDI's files for NVIDIA, with the driver whose libraries they name."""
    files = [p for f in folders for p in sorted(Path(f).glob("*nvidia*"))]
    found = []
    for path in files:
        text = _read(path)
        if "nvidia.com/gpu" in text:
            version = _LIBRARY.search(text)
            found.append(CdiSpec(str(path), version[1] if version else ""))
    return tuple(found)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
