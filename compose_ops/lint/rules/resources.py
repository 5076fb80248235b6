"""
Limits against the machine that the files state, and the one that is there.

A compose file states its machine as `x-machine: {memory: 32G, reserved: 6G, cpus: 8}`;
an overlay for a bigger machine states its own. `reserved` is what the system keeps.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from compose_ops.lint.finding import RawFinding
from compose_ops.lint.quantity import shown, size
from compose_ops.lint.registry import rule
from compose_ops.lint.target import LintTarget, Service


def memory_limit(service: Service) -> int:
    """Return the memory limit in bytes, 0 without one."""
    limit = service.get("deploy", "resources", "limits", "memory")
    return size(limit or service.get("mem_limit"))


def stated_memory(subject: LintTarget) -> int:
    """Return the bytes that the stated machine has for containers, 0 if none is."""
    stated = subject.stated("x-machine")
    if not isinstance(stated, dict):
        return subject.memory
    return size(stated.get("memory")) - size(stated.get("reserved"))


def most_at_once(subject: LintTarget) -> list[Service]:
    """Return the services without a profile, and those of the heaviest profile."""
    always = [one for one in subject.services if not one.profiles]
    profiles = sorted({name for one in subject.services for name in one.profiles})
    sets = [
        [one for one in subject.services if name in one.profiles] for name in profiles
    ]
    heaviest = max(
        sets,
        key=lambda s: sum(memory_limit(one) * one.replicas for one in s),
        default=[],
    )
    return [*always, *heaviest]


def machine_stated(subject: LintTarget) -> Mapping[str, Any]:
    """Return the machine that the files state, empty when they state none."""
    stated = subject.stated("x-machine")
    return stated if isinstance(stated, dict) else {}


def number(value: object) -> float:
    """Return a number of cores, 0 for what is none."""
    try:
        return float(str(value))
    except ValueError:
        return 0.0


@rule(
    "memory-beyond-machine",
    "error",
    "The memory limits together exceed the stated machine.",
    why="Limits reserve nothing. The services start, and the kernel kills one of them "
    "under load, often the largest store.",
    source="run on Engine 26.1.5: limits of 26G start on a smaller host",
    repair="Lower limits, or state the machine that the overlay is for: `x-machine`.",
)
def memory_beyond_machine(subject: LintTarget) -> Iterator[RawFinding]:
    room = stated_memory(subject)
    taken = {s.name: memory_limit(s) * s.replicas for s in most_at_once(subject)}
    if room > 0 and sum(taken.values()) > room:
        parts = ", ".join(
            f"{name} {shown(size)}" for name, size in taken.items() if size
        )
        yield RawFinding(
            ("x-machine",),
            f"limits of {shown(sum(taken.values()))} ({parts}) exceed the "
            f"{shown(room)} that the stated machine has for containers",
        )


@rule(
    "memory-unstated",
    "warning",
    "A service states no memory limit where the files state a machine.",
    why="The sum of the limits is then no bound: this service takes what it likes.",
    source="docs.docker.com, Resource constraints",
    repair="Add `deploy.resources.limits.memory`.",
)
def memory_unstated(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services if stated_memory(subject) > 0 else ():
        if not memory_limit(service):
            yield RawFinding(
                service.path("deploy"), f"{service.name} states no memory limit"
            )


@rule(
    "cpus-beyond-engine",
    "error",
    "A service may use more cores than there are.",
    why="The engine refuses the container: `range of CPUs is from 0.01 to …`.",
    source="run on Engine 26.1.5: cpus '4' on 2 cores",
    repair="Make it a variable and set it to what the machine has.",
)
def cpus_beyond_engine(subject: LintTarget) -> Iterator[RawFinding]:
    stated = machine_stated(subject).get("cpus")
    there = subject.machine.cpus or number(stated)
    for service in subject.services if there else ():
        wanted = service.get("deploy", "resources", "limits", "cpus")
        cpus = number(wanted or service.get("cpus", default=0))
        if cpus > there:
            yield RawFinding(
                service.path("deploy", "resources", "limits", "cpus"),
                f"{service.name} may use {cpus:g} cores, the machine has {there:g}",
            )


@rule(
    "reservation-above-limit",
    "error",
    "A service reserves more than its limit.",
    why="The engine refuses the container: `Minimum memory limit should be larger "
    "than memory reservation limit`.",
    source="run on Engine 26.1.5",
    repair="Lower the reservation, also in the override that lowers the limit.",
)
def reservation_above_limit(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        limit = memory_limit(service)
        wanted = service.get("deploy", "resources", "reservations", "memory")
        reserved = size(wanted or service.get("mem_reservation"))
        if limit and reserved > limit:
            yield RawFinding(
                service.path("deploy", "resources", "reservations", "memory"),
                f"{service.name} reserves {shown(reserved)} "
                f"of a limit of {shown(limit)}",
            )
