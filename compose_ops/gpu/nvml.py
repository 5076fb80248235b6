"""The driver and its devices, through nvidia-ml-py."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from compose_ops.gpu.facts import Device

Nvml = Any
"""The module `pynvml` of nvidia-ml-py, or a stand-in for it."""


def library() -> Nvml:
    """Return nvidia-ml-py; None when it is not installed."""
    try:
        import pynvml  # type: ignore[import-untyped]
    except ImportError:
        return None
    return pynvml


def ask(nvml: Nvml) -> tuple[str, str, str, tuple[Device, ...]]:
    """Return trouble, NVML's words, the library's version, and the devices."""
    if nvml is None:
        return (
            "absent",
            "nvidia-ml-py is not installed: pip install 'compose-ops[gpu]'",
            "",
            (),
        )
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as refused:
        return trouble(nvml, refused.value), str(refused), "", ()
    try:
        version = text(nvml.nvmlSystemGetDriverVersion())
        count = nvml.nvmlDeviceGetCount()
        return "", "", version, tuple(device(nvml, index) for index in range(count))
    except nvml.NVMLError as refused:
        return "failed", str(refused), "", ()
    finally:
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def trouble(nvml: Nvml, code: int) -> str:
    known = {
        nvml.NVML_ERROR_LIBRARY_NOT_FOUND: "absent",
        nvml.NVML_ERROR_DRIVER_NOT_LOADED: "unloaded",
        nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "mismatch",
    }
    return known.get(code, "failed")


def device(nvml: Nvml, index: int) -> Device:
    """Return one device; what it does not support is left at its default."""
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        uuid = text(nvml.nvmlDeviceGetUUID(handle))
        name = text(nvml.nvmlDeviceGetName(handle))
        memory = int(nvml.nvmlDeviceGetMemoryInfo(handle).total)
    except nvml.NVMLError as refused:
        return Device(index, "", "", fault=str(refused))
    major, minor = _or(nvml, nvml.nvmlDeviceGetCudaComputeCapability, handle) or (0, 0)
    persistence = _or(nvml, nvml.nvmlDeviceGetPersistenceMode, handle)
    return Device(
        index=index,
        uuid=uuid,
        name=name,
        memory=memory,
        capability=f"{major}.{minor}" if major else "",
        uncorrected=_or(
            nvml,
            nvml.nvmlDeviceGetTotalEccErrors,
            handle,
            nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
            nvml.NVML_VOLATILE_ECC,
        ),
        needs_reset=_needs_reset(nvml, handle),
        is_persistent=None if persistence is None else bool(persistence),
        instances=_instances(nvml, handle),
    )


def _needs_reset(nvml: Nvml, handle: object) -> bool:
    """Say whether faulty memory is yet to be replaced, by rows or by pages."""
    rows = _or(nvml, nvml.nvmlDeviceGetRemappedRows, handle)
    if rows is not None:
        return bool(rows[2])
    return bool(_or(nvml, nvml.nvmlDeviceGetRetiredPagesPendingStatus, handle))


def _instances(nvml: Nvml, handle: object) -> int | None:
    modes = _or(nvml, nvml.nvmlDeviceGetMigMode, handle)
    if not modes or modes[0] != nvml.NVML_DEVICE_MIG_ENABLE:
        return None
    maximum = _or(nvml, nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0
    found = [
        _or(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, index)
        for index in range(maximum)
    ]
    return sum(instance is not None for instance in found)


def _or(nvml: Nvml, function: Callable[..., Any], *arguments: object) -> Any:
    """Return what NVML reports, None where the device does not support it."""
    try:
        return function(*arguments)
    except nvml.NVMLError:
        return None


def text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
