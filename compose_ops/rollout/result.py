"""How an update ended: what a caller gets and the command line prints."""

from dataclasses import dataclass

from compose_ops.rollout.plan import Plan
from compose_ops.rollout.recording import Recording
from compose_ops.rollout.statistics import TrafficReport


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """
    How an update ended; `result` is updated, failed, nothing-to-do or planned.

    `cut` counts connections that lasted longer than the drain timeout; `healthy_after`
    and `seconds` are seconds. `recording` is None where nothing was changed.
    """

    service: str
    result: str
    plan: Plan
    proof: TrafficReport | None
    healthy_after: tuple[float, ...]
    seconds: float
    cut: int = 0
    recording: Recording | None = None

    def as_json(self) -> dict[str, object]:
        """Return the documented form of `invoke rolling-update --json`."""
        return {
            "service": self.service,
            "result": self.result,
            "order": self.plan.policy.order,
            "plan": [
                {"slot": slot.name, "causes": list(slot.causes)}
                for slot in self.plan.changing
            ],
            "proof": self.proof.as_json() if self.proof else None,
            "cut_connections": self.cut,
            "healthy_after": list(self.healthy_after),
            "seconds": round(self.seconds, 2),
            "recording": self.recording.as_json() if self.recording else None,
        }
