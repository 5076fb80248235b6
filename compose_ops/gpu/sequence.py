"""Run the GPU checks in order, and stop at the first that fails."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from compose_ops.gpu import container_checks, host_checks
from compose_ops.gpu.facts import Facts
from compose_ops.verdicts import Row, Verdict, judged, skip

TOPIC = "gpu"


@dataclass(frozen=True, slots=True)
class GpuCheck:
    """One question, answered only when no check before it failed."""

    id: str
    question: str
    judge: Callable[[Facts], Iterator[Verdict]]


CHECKS = (
    GpuCheck("gpu", "Is there a GPU?", host_checks.gpu_present),
    GpuCheck(
        "driver", "Is its driver loaded, in one version?", host_checks.driver_loaded
    ),
    GpuCheck("devices", "Do the devices work?", host_checks.devices_work),
    GpuCheck(
        "toolkit", "Can the engine give one to a container?", host_checks.toolkit_ready
    ),
    GpuCheck("cdi", "Does the CDI file match the driver?", host_checks.cdi_current),
    GpuCheck(
        "request", "Do the requested GPUs exist?", container_checks.requests_satisfied
    ),
    GpuCheck("probe", "Does a container see it?", container_checks.container_sees_gpu),
    GpuCheck("cuda", "Is the driver new enough?", container_checks.driver_for_cuda),
    GpuCheck("capability", "Was torch built for it?", container_checks.torch_built_for),
    GpuCheck("compute", "Does torch compute on it?", container_checks.torch_computes),
    GpuCheck("ray", "Does Ray count it?", container_checks.ray_counts),
    GpuCheck(
        "running",
        "Does the running container have it?",
        container_checks.running_container_sees_gpu,
    ),
)


def run(facts: Facts, *, require: bool = False) -> tuple[Row, ...]:
    """
    Return a row per check; those after a failing one are skipped.

    Without a GPU the first check is the last, and no failure unless *require*.
    """
    rows: list[Row] = []
    skip_reason = ""
    for check in CHECKS:
        if skip_reason:
            rows.append(Row(check.id, TOPIC, (skip(skip_reason),)))
            continue
        rows.append(Row(check.id, TOPIC, judged(check.judge, {"facts": facts})))
        if rows[-1].outcome in {"fail", "crashed"}:
            skip_reason = f"not run: {check.id} failed"
        elif check.id == "gpu" and not host_checks.is_present(facts):
            skip_reason = "there is no GPU"
            if require:
                rows[0] = Row("gpu", TOPIC, judged(_required, {"facts": facts}))
    return tuple(rows)


def _required(facts: Facts) -> Iterator[Verdict]:
    yield host_checks.required(facts)
