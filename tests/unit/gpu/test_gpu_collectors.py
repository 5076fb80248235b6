"""What is read of bus, module, kernel log, CDI, NVML and model, on made-up files."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from compose_ops.gpu import machine, nvml
from compose_ops.gpu.collect import last_json, requests_of
from compose_ops.gpu.container_checks import supports
from compose_ops.gpu.facts import ALL, Request, Wheel, Xid

VERSION = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 2024\n"
    "GCC version:  gcc version 12.2.0\n"
)
OPEN_VERSION = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  565.57.01  "
    "Release Build\n"
)


@pytest.mark.parametrize(
    ("text", "version"), [(VERSION, "550.54.15"), (OPEN_VERSION, "565.57.01")]
)
def test_module_version(tmp_path: Path, text: str, version: str) -> None:
    """The proprietary and the open module word it differently."""
    file = tmp_path / "proc/driver/nvidia/version"
    file.parent.mkdir(parents=True)
    file.write_text(text)

    assert machine.module_version(tmp_path) == version
    assert machine.module_version(tmp_path / "else") == ""


def test_only_nvidia_display_devices_are_gpus(tmp_path: Path) -> None:
    for name, vendor, kind in (
        ("0000:01:00.0", "0x10de", "0x030200"),
        ("0000:01:00.1", "0x10de", "0x040300"),
        ("0000:02:00.0", "0x8086", "0x030000"),
    ):
        folder = tmp_path / "sys/bus/pci/devices" / name
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(vendor + "\n")
        (folder / "class").write_text(kind + "\n")

    assert list(machine.hardware(tmp_path)) == ["0000:01:00.0"]


def test_reports_of_the_kernel_log() -> None:
    records = [
        "6,100,1000000,-;usb 1-1: new device\n",
        "3,101,5000000,-;NVRM: Xid (PCI:0000:01:00): 79, pid=1, GPU has fallen off\n",
    ]

    assert list(machine.parse_reports(records, now=65.0)) == [
        Xid(79, "0000:01:00", 60.0)
    ]


def test_cdi_file_tells_its_driver(tmp_path: Path) -> None:
    (tmp_path / "nvidia.yaml").write_text(
        "kind: nvidia.com/gpu\nmounts:\n- hostPath: /usr/lib/libcuda.so.535.161.07\n"
    )
    (tmp_path / "nvidia-net.yaml").write_text("kind: other.com/net\n")

    [spec] = machine.cdi_specs([str(tmp_path)])
    assert spec.driver == "535.161.07"


class NVMLError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(f"error {value}")
        self.value = value


def library(**changes: Any) -> Any:
    """Return a stand-in for nvidia-ml-py with one GPU that supports the least."""

    def refuse(*_arguments: object) -> Any:
        raise NVMLError(3)

    names = {
        "NVMLError": NVMLError,
        "NVML_ERROR_LIBRARY_NOT_FOUND": 12,
        "NVML_ERROR_DRIVER_NOT_LOADED": 9,
        "NVML_ERROR_LIB_RM_VERSION_MISMATCH": 18,
        "NVML_MEMORY_ERROR_TYPE_UNCORRECTED": 1,
        "NVML_VOLATILE_ECC": 0,
        "NVML_DEVICE_MIG_ENABLE": 1,
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlSystemGetDriverVersion": lambda: "550.54.15",
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetUUID": lambda _h: b"GPU-1",
        "nvmlDeviceGetName": lambda _h: "NVIDIA T4",
        "nvmlDeviceGetMemoryInfo": lambda _h: SimpleNamespace(total=16),
        "nvmlDeviceGetCudaComputeCapability": lambda _h: (7, 5),
        **dict.fromkeys(
            (
                "nvmlDeviceGetPersistenceMode",
                "nvmlDeviceGetTotalEccErrors",
                "nvmlDeviceGetRemappedRows",
                "nvmlDeviceGetRetiredPagesPendingStatus",
                "nvmlDeviceGetMigMode",
                "nvmlDeviceGetMaxMigDeviceCount",
                "nvmlDeviceGetMigDeviceHandleByIndex",
            ),
            refuse,
        ),
    }
    return SimpleNamespace(**(names | changes))


def test_device_without_ecc_and_mig_is_whole() -> None:
    trouble, _words, version, [device] = nvml.ask(library())

    assert (trouble, version) == ("", "550.54.15")
    assert (device.uuid, device.capability) == ("GPU-1", "7.5")
    assert (device.uncorrected, device.is_persistent, device.instances) == (None,) * 3


def test_mig_instances_are_counted() -> None:
    def handle(_parent: object, index: int) -> int:
        if index > 1:
            raise NVMLError(6)
        return index

    made = library(
        nvmlDeviceGetMigMode=lambda _h: (1, 1),
        nvmlDeviceGetMaxMigDeviceCount=lambda _h: 7,
        nvmlDeviceGetMigDeviceHandleByIndex=handle,
    )

    assert nvml.ask(made)[3][0].instances == 2


@pytest.mark.parametrize(
    ("code", "trouble"),
    [(12, "absent"), (9, "unloaded"), (18, "mismatch"), (999, "failed")],
)
def test_nvml_errors_are_named(code: int, trouble: str) -> None:
    def refuse() -> None:
        raise NVMLError(code)

    assert nvml.ask(library(nvmlInit=refuse))[0] == trouble


def test_lost_device_keeps_nvmls_word() -> None:
    def refuse(_index: int) -> None:
        raise NVMLError(15)

    [device] = nvml.ask(library(nvmlDeviceGetHandleByIndex=refuse))[3]
    assert device.fault == "error 15"


def test_requests_of_a_model() -> None:
    def asking(**device: Any) -> dict[str, Any]:
        wish = {"driver": "nvidia", "capabilities": ["gpu"], **device}
        return {"deploy": {"resources": {"reservations": {"devices": [wish]}}}}

    services = {
        "head": asking(count=1),
        "worker": asking(device_ids=["0", "1"]),
        "every": asking(),
        "plain": {},
        "legacy": {"runtime": "nvidia", "environment": {}},
        "named": asking(driver="cdi", device_ids=["nvidia.com/gpu=1"]),
        "mapped": {"devices": [{"source": "nvidia.com/gpu=all"}, {"source": "/dev/x"}]},
        "short": {"gpus": [{"count": -1}]},
    }

    assert requests_of(services) == (
        Request("head", 1),
        Request("worker", 0, ("0", "1")),
        Request("every", ALL),
        Request("legacy", ALL),
        Request("named", ids=("1",), by_cdi=True),
        Request("mapped", ALL, by_cdi=True),
        Request("short", ALL),
    )


@pytest.mark.parametrize(
    ("architectures", "capability", "runs"),
    [
        (("sm_80",), "8.6", True),
        (("sm_86",), "8.0", False),
        (("sm_86",), "9.0", False),
        (("sm_90a",), "9.0", True),
        (("sm_86", "compute_86"), "9.0", True),
        (("sm_50",), "5.2", True),
        (("sm_100",), "10.0", True),
    ],
)
def test_which_gpus_a_wheel_runs_on(
    architectures: tuple[str, ...], capability: str, *, runs: bool
) -> None:
    """Machine code runs from its minor version on, intermediate code on all newer."""
    assert supports(Wheel(architectures=architectures), capability) is runs


def test_lines_of_libraries_are_passed_over() -> None:
    assert last_json('warning: x\n{"a": 1}\nbye\n') == '{"a": 1}'
