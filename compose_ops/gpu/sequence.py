"""Climb the rungs in order, and stop at the first that fails."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from compose_ops.gpu import container_checks, host_checks
from compose_ops.gpu.facts import Facts
from compose_ops.verdicts import Row, Verdict, judged, skip

TOPIC = "gpu"


@dataclass(frozen=True, slots=True)
class GpuCheck:
    """One question, answered only when all before it are."""

    id: str
    question: str
    judge: Callable[[Facts], Iterator[Verdict]]


RUNGS = (
    GpuCheck("gpu", "Is there a GPU?", host_checks.gpu_there),
    GpuCheck("driver", "Is its driver loaded and in step?", host_checks.driver),
    GpuCheck("devices", "Do the devices work?", host_checks.devices),
    GpuCheck("toolkit", "Can the engine hand one out?", host_checks.toolkit),
    GpuCheck("cdi", "Is CDI's file of this driver?", host_checks.cdi),
    GpuCheck("request", "Can what is asked for be had?", container_checks.request),
    GpuCheck("probe", "Does a container see it?", container_checks.probe),
    GpuCheck("cuda", "Is the driver new enough?", container_checks.driver_for_cuda),
    GpuCheck("capability", "Was torch built for it?", container_checks.capability),
    GpuCheck("compute", "Does torch compute on it?", container_checks.computes),
    GpuCheck("ray", "Does Ray count it?", container_checks.ray_counts),
    GpuCheck(
        "running", "Does the running container have it?", container_checks.running
    ),
)


def climb(facts: Facts, *, require: bool = False) -> tuple[Row, ...]:
    """
    Return a row per rung; those after a failing one are skipped.

    Without a GPU the first rung is the last, and no failure unless *require*.
    """
    rows: list[Row] = []
    stopped = ""
    for rung in RUNGS:
        if stopped:
            rows.append(Row(rung.id, TOPIC, (skip(stopped),)))
            continue
        rows.append(Row(rung.id, TOPIC, judged(rung.judge, {"facts": facts})))
        if rows[-1].outcome in {"fail", "crashed"}:
            stopped = f"not reached: {rung.id} comes first"
        elif rung.id == "gpu" and not host_checks.is_there(facts):
            stopped = "there is no GPU"
            if require:
                missing = judged(_required, {"facts": facts})
                rows[0] = Row("gpu", TOPIC, missing)
    return tuple(rows)


def _required(facts: Facts) -> Iterator[Verdict]:
    yield host_checks.required(facts)
