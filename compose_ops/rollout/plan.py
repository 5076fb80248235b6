"""What an update will do, slot by slot and why; computed before anything is touched."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from compose_ops.docker.api import Container
from compose_ops.errors import UsageError
from compose_ops.rollout.policy import Policy


@dataclass(frozen=True, slots=True)
class DesiredState:
    """What every container of the service should be; "" where it is not known yet."""

    replicas: int
    image: str
    image_id: str
    config_hash: str


@dataclass(frozen=True, slots=True)
class Slot:
    """The slot of one replica: its container now, and why that must change."""

    old: Container | None
    causes: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.old.name if self.old else "(new replica)"


@dataclass(frozen=True, slots=True)
class Plan:
    """Slots to change in order, replicas that stay as they are, and surplus ones."""

    service: str
    wanted: DesiredState
    policy: Policy
    changing: tuple[Slot, ...]
    unchanged: tuple[Container, ...]
    surplus: tuple[Container, ...]

    @property
    def is_empty(self) -> bool:
        return not self.changing and not self.surplus

    @property
    def found(self) -> list[str]:
        """Return the ids of all containers that were there when it was made."""
        changing = [slot.old for slot in self.changing if slot.old]
        return [c.id for c in (*changing, *self.unchanged, *self.surplus)]

    def batches(self) -> list[tuple[Slot, ...]]:
        """Return the slots in groups of `parallelism`."""
        size = max(self.policy.parallelism, 1)
        return [
            self.changing[start : start + size]
            for start in range(0, len(self.changing), size)
        ]

    def lines(self) -> list[str]:
        """Return the plan in words."""
        lines = [f"replace {s.name}: {', '.join(s.causes)}" for s in self.changing]
        return lines + [f"remove {c.name}: surplus replica" for c in self.surplus]


def plan(
    service: str,
    wanted: DesiredState,
    policy: Policy,
    containers: Sequence[Container],
    *,
    admitted_by: str = "",
    forced: str = "",
    fronted_on: Collection[str] = (),
    replaced: Mapping[str, Sequence[str]] | None = None,
) -> Plan:
    """
    Compare what runs with what is wanted.

    *admitted_by* is the network through which a replica gets requests; *forced* is a
    reason to replace every replica, *replaced* are reasons by container id; on the
    networks *fronted_on* the service's name is the gateway's. Raises UsageError when
    the service has none.
    """
    stale = replaced or {}
    if not containers:
        raise UsageError(
            f"{service} does not run", hint=f"invoke up --service {service} starts it"
        )
    there = sorted(containers, key=lambda c: (not c.is_healthy, c.number))
    slots: list[Container | None] = [*there[: wanted.replicas]]
    slots += [None] * (wanted.replicas - len(slots))
    judged = [
        (
            c,
            (
                *causes(c, wanted, admitted_by, forced, fronted_on),
                *stale.get(c.id if c else "", ()),
            ),
        )
        for c in slots
    ]
    return Plan(
        service=service,
        wanted=wanted,
        policy=policy,
        changing=tuple(Slot(c, why) for c, why in judged if why),
        unchanged=tuple(c for c, why in judged if c and not why),
        surplus=tuple(there[wanted.replicas :]),
    )


def causes(
    container: Container | None,
    wanted: DesiredState,
    admitted_by: str,
    forced: str,
    fronted_on: Collection[str] = (),
) -> tuple[str, ...]:
    """Return why a slot must change; empty when it is as wanted."""
    if container is None:
        return ("a replica is missing",)
    found = [forced] if forced else []
    if wanted.image_id and container.image_id != wanted.image_id:
        found.append(f"image {short(container.image_id)} → {short(wanted.image_id)}")
    if wanted.config_hash and container.config_hash != wanted.config_hash:
        found.append(
            f"configuration {container.config_hash[:12]} → {wanted.config_hash[:12]}"
        )
    if not container.is_running:
        found.append(f"is {container.state} (exit code {container.exit_code})")
    elif container.health == "unhealthy":
        found.append("is unhealthy")
    elif admitted_by and admitted_by not in container.networks:
        found.append("is not connected to the gateway's network")
    if past := [name for name in named_on(container) if name in fronted_on]:
        found.append(f"is found past the gateway on {', '.join(past)}")
    return tuple(found)


def named_on(container: Container) -> tuple[str, ...]:
    """Return the networks on which others find *container* by its service's name."""
    settings = (container.raw.get("NetworkSettings") or {}).get("Networks") or {}
    return tuple(
        network
        for network in container.networks
        if container.service in ((settings.get(network) or {}).get("Aliases") or ())
    )


def short(image_id: str) -> str:
    """Return an image id as docker shows it."""
    return image_id.removeprefix("sha256:")[:12]
