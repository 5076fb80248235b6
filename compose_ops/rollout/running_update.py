"""The state of a running update, and what its steps share."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from compose_ops.docker.api import EventStream
from compose_ops.errors import ComposeOpsError, UnhealthyError
from compose_ops.rollout import background, health_gate, steps
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.journal import Journal, SlotState
from compose_ops.rollout.plan import Plan
from compose_ops.rollout.recording import OLD, Recorder
from compose_ops.rollout.result import UpdateResult
from compose_ops.rollout.statistics import Request, TrafficReport
from compose_ops.rollout.traffic_probe import TrafficProbe

Report = Callable[[str], None]
DELAY_STEP = 0.2


@dataclass(slots=True)
class RunningUpdate:
    """
    A running update; `name` is the container name that the model fixes, or "".

    `verdict` is when the last batch had been judged: like Swarm's, the delay before the
    next one counts from there, and the old containers drain in it. Where it `overlaps`
    the next batch is not held up by what drains longer; that takes memory for one more
    batch. `stuck` says that an old container could not be taken out of service, `cut`
    how many connections lasted longer than the drain timeout.
    """

    context: UpdateContext
    plan: Plan
    journal: Journal
    events: EventStream
    probe: TrafficProbe | None
    report: Report
    recorder: Recorder
    name: str = ""
    overlaps: bool = False
    healthy_after: dict[str, float] = field(default_factory=dict)
    failed: int = 0
    failure: ComposeOpsError | None = None
    verdict: float = 0.0
    stuck: bool = False
    cut: int = 0
    draining: "Future[None] | None" = None

    @property
    def point(self) -> str:
        """The restore point of the service's data, "" for none."""
        return self.journal.point

    @property
    def new(self) -> list[str]:
        """The new containers of all batches so far."""
        return [slot.new for slot in self.journal.places if slot.new]

    def outcome(
        self,
        result: str,
        proof: TrafficReport | None,
        requests: Sequence[Request] = (),
    ) -> UpdateResult:
        """Return how it ended, with all that was recorded of it and of *requests*."""
        return UpdateResult(
            self.plan.service,
            result,
            self.plan,
            proof,
            tuple(round(s, 2) for s in self.healthy_after.values()),
            self.recorder.passed,
            self.cut,
            self.recorder.recording(requests),
        )

    def traffic_failure(self) -> str:
        """Return why a request through the gateway failed, "" for none."""
        wrong = self.probe.failure() if self.probe else ""
        if not wrong:
            return ""
        cause = self.context.api.failure() if self.context.api else ""
        return cause or f"a request through the gateway failed: {wrong}"

    def wait_until(self, due: float) -> None:
        """Wait until *due*; UnhealthyError when a request fails meanwhile."""
        self._require_traffic()
        while (left := due - self.context.clock.now()) > 0:
            self.context.clock.sleep(min(left, DELAY_STEP))
            self._require_traffic()

    def begin_drain(self, slots: Sequence[SlotState]) -> None:
        """Drain and stop the old containers of *slots* in the background."""
        if not slots:
            return
        self.report(", ".join(slot.name for slot in slots) + ": draining")
        self.draining = background.begin(lambda: self._retire(slots))

    def wait_drained(self) -> None:
        """Return when what drains is stopped; raises what prevented that."""
        if self.draining is None:
            return
        try:
            self.draining.result()
        except ComposeOpsError:
            self.stuck = True
            raise
        self.draining = None
        self.journal.note("retired")

    def retire(self, ids: Sequence[str], names: Sequence[str]) -> None:
        """Drain and stop old containers; count what had to be cut."""
        with self.recorder.step("drain and stop", names, OLD):
            cut = steps.retire(self.context, ids)
            self.cut += cut
            self.recorder.cut(cut)

    def _retire(self, slots: Sequence[SlotState]) -> None:
        self.retire([slot.old for slot in slots], [slot.name for slot in slots])
        if self.name:
            self.context.engine.rename(slots[0].old, f"{self.name}-before")

    def _require_traffic(self) -> None:
        if wrong := self.traffic_failure():
            raise UnhealthyError(wrong, hint=health_gate.REPAIR)
