"""Carry a plan out batch by batch; whatever goes wrong, put everything back."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread

from compose_ops.docker.api import Container, EventStream
from compose_ops.errors import ComposeOpsError, UnhealthyError
from compose_ops.rollout import health_gate, steps
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.journal import Journal, SlotState
from compose_ops.rollout.plan import Plan, Slot
from compose_ops.rollout.policy import START_FIRST
from compose_ops.rollout.traffic_probe import TrafficProbe
from compose_ops.rollout.undo import put_back, remove_strays

Say = Callable[[str], None]
DELAY_STEP = 0.2
# The last step shows in the requests after it.
TAIL_SECONDS = 0.3


@dataclass(slots=True)
class ReplicaSetUpdate:
    """
    A running update; `name` is the container name that the model fixes, or "".

    `verdict` is when the last batch had been judged: like Swarm's, the delay before the
    next one counts from there, and the old containers drain in it. Where it `overlaps`
    the next batch is not held up by what drains longer; that takes memory for one more
    batch. `stuck` says that the gateway did not let go of one.
    """

    site: UpdateContext
    plan: Plan
    journal: Journal
    events: EventStream
    probe: TrafficProbe | None
    say: Say
    name: str = ""
    healthy_after: dict[str, float] = field(default_factory=dict)
    failed: int = 0
    failure: ComposeOpsError | None = None
    verdict: float = 0.0
    overlaps: bool = False
    stuck: bool = False
    leaving: Future[None] | None = None

    def run(self) -> None:
        """
        Replace what the plan names.

        Raises the error that ended it when failures exceed the policy's ratio.
        """
        for number, batch in enumerate(self.plan.batches()):
            due = self.verdict + self.plan.policy.delay if number else 0.0
            self._guarded(batch, due=due)
        self.let_go()
        self._leave([c.id for c in self.plan.surplus])
        self._wait(self.site.clock.now() + TAIL_SECONDS)

    def finish(self) -> None:
        """Remove the old containers; nothing goes back after this."""
        self.journal.note("remove the old containers")
        done = [p.old for p in self.journal.places if p.proven and p.old]
        gone = [c.id for c in map(self.site.engine.container, done) if c]
        if gone:
            self.site.engine.remove(*gone, force=True)

    @property
    def new(self) -> list[str]:
        """The new containers of all batches so far."""
        return [place.new for place in self.journal.places if place.new]

    def require_traffic(self) -> None:
        """Raise UnhealthyError when a request through the gateway failed."""
        if wrong := self._traffic():
            raise UnhealthyError(wrong, hint="mend the new version and update again")

    def _guarded(self, batch: Sequence[Slot], *, due: float) -> None:
        begun = len(self.journal.places)
        try:
            self._replace(batch, due=due)
        except ComposeOpsError as error:
            places = self.journal.places[begun:]
            for place in places:
                place.failed = True
            if isinstance(error, UnhealthyError):
                health_gate.with_evidence(
                    self.site, [p.new for p in places if p.new], error
                )
            self.failed += len(batch)
            self.failure = error
            policy = self.plan.policy
            ratio = self.failed / len(self.plan.changing)
            tolerated = ratio <= policy.max_failure_ratio
            goes_on = tolerated or policy.failure_action == "continue"
            if self.stuck or self._traffic() or not goes_on:
                raise
            self.say(f"{error.message}: going on, as the policy says")
            for wrong in put_back(self.site, self.journal, places, self.events):
                self.say(wrong)
            remove_strays(self.site, self.journal)
            self.journal.before += [place.new for place in places if place.new]
            del self.journal.places[begun:]
            self.verdict = self.site.clock.now()

    def _replace(self, batch: Sequence[Slot], *, due: float) -> None:
        """Replace a batch; until *due* nothing of it starts and nothing of it ends."""
        places = [_place(self.site, slot.old) for slot in batch]
        self.journal.places += places
        start_first = self.plan.policy.order == START_FIRST
        if start_first:
            self._create(places)
        self._wait(due)
        if not start_first:
            self._retire(places)
            self.let_go()
            self._create(places)
        self._prove(places)
        for place in places:
            place.proven = True
        self.verdict = self.site.clock.now()
        self.journal.note("the batch is proven")
        if start_first:
            self.let_go()
            self._retire(places)
            if not self.overlaps:
                self.let_go()

    def _create(self, places: Sequence[SlotState]) -> None:
        self.journal.note("create")
        made = steps.create(self.site, len(places), self.plan.wanted)
        for place, new in zip(places, made, strict=True):
            place.new = new
        self.journal.note("detach")
        steps.detach(self.site, made)
        if self.name:
            self.journal.note("name")
            self.site.engine.rename(made[0], self.name)

    def _prove(self, places: Sequence[SlotState]) -> None:
        ids = [place.new for place in places]
        window = self.plan.policy.monitor / 2
        names = ", ".join(self.site.container(i).name for i in ids)
        self.journal.note("start")
        told = self.site.clock.now()
        self.site.engine.start(*ids)
        self.say(f"{names}: started, waiting for health")
        health_gate.wait_healthy(self.site, ids, self.events)
        passed = self.site.clock.now() - told
        self.healthy_after |= dict.fromkeys(ids, passed)
        self.journal.note("watch before admission")
        self.say(f"{names}: healthy after {passed:.1f} s, asked directly")
        health_gate.watch(
            self.site,
            ids,
            self.events,
            window=window,
            probes=health_gate.PROBES,
            outside=self._traffic,
        )
        self.journal.note("admit")
        steps.admit(self.site, ids)
        self.journal.note("watch after admission")
        self.say(f"{names}: admitted, watched for {window:.0f} s")
        health_gate.watch(
            self.site,
            ids,
            self.events,
            window=window,
            probes=0,
            outside=self._traffic,
        )

    def _retire(self, places: Sequence[SlotState]) -> None:
        """Begin to drain and stop the old containers; `let_go` sees the end of it."""
        olds = [place for place in places if place.old]
        if not olds:
            return
        for place in olds:
            place.touched = True
        self.journal.note("retire")
        self.say(", ".join(p.name for p in olds) + ": draining")
        self.leaving = begun(lambda: self._out(olds))

    def _out(self, olds: Sequence[SlotState]) -> None:
        steps.retire(self.site, [p.old for p in olds])
        if self.name:
            self.site.engine.rename(olds[0].old, f"{self.name}-before")

    def let_go(self) -> None:
        """Return when what drains is stopped; UnhealthyError when it still serves."""
        if self.leaving is None:
            return
        try:
            self.leaving.result()
        except ComposeOpsError:
            self.stuck = True
            raise
        self.leaving = None
        self.journal.note("retired")

    def _leave(self, ids: Sequence[str]) -> None:
        if ids:
            self.journal.note("retire what is one too many")
            steps.retire(self.site, ids)
            self.site.engine.remove(*ids, force=True)

    def _wait(self, due: float) -> None:
        """Wait until *due*; UnhealthyError when a request fails meanwhile."""
        self.journal.note("delay")
        while (left := due - self.site.clock.now()) > 0:
            self.require_traffic()
            self.site.clock.sleep(min(left, DELAY_STEP))
        self.require_traffic()

    def _traffic(self) -> str:
        wrong = self.probe.failure() if self.probe else ""
        return f"a request through the gateway failed: {wrong}" if wrong else ""


def begun(do: Callable[[], None]) -> Future[None]:
    """Do something aside; the result raises what it raised."""
    found: Future[None] = Future()

    def run() -> None:
        try:
            do()
            found.set_result(None)
        except BaseException as wrong:  # noqa: BLE001 - whoever asks gets it
            found.set_exception(wrong)

    Thread(target=run, daemon=True).start()
    return found


def _place(site: UpdateContext, old: Container | None) -> SlotState:
    if old is None:
        return SlotState()
    attached = not site.network or site.network in old.networks
    return SlotState(
        old=old.id,
        name=old.name,
        restart=steps.restart_policy(old),
        served=attached and old.is_healthy,
        attached=attached,
    )
